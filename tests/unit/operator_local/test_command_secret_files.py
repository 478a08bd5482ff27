from pathlib import Path

import pytest

from gateway_operator.command.errors import UserError
from gateway_operator.command.secret_files import SecretFiles
from gateway_operator.model import SecretRef

TOKEN_REF = SecretRef(name="mybot", key="token")
SINK_REF = SecretRef(name="bot", key="http")
TOKEN = "MTk4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def secrets(tmp_path) -> SecretFiles:
    return SecretFiles(tmp_path / "secrets")


@pytest.fixture
def find_token(secrets):
    def find(token_file: Path | None = None, **environment: str) -> str:
        return secrets.token(TOKEN_REF, token_file=token_file, environment=environment)

    return find


def test_the_token_is_read_from_the_secrets_file_as_kubernetes_mounts_it(find_token, tmp_path):
    write(tmp_path / "secrets/mybot/token", f"{TOKEN}\n")

    assert find_token() == TOKEN


def test_the_environment_goes_before_the_secrets_file(find_token, tmp_path):
    write(tmp_path / "secrets/mybot/token", "another")

    assert find_token(DISCORD_TOKEN=TOKEN) == TOKEN


def test_the_option_goes_before_the_environment(find_token, tmp_path):
    assert find_token(write(tmp_path / "given", TOKEN), DISCORD_TOKEN="another") == TOKEN


def test_the_prefix_that_tokens_are_pasted_with_is_dropped(find_token):
    assert find_token(DISCORD_TOKEN=f"Bot {TOKEN}") == TOKEN


def test_an_empty_variable_is_passed_over(find_token, tmp_path):
    write(tmp_path / "secrets/mybot/token", TOKEN)

    assert find_token(DISCORD_TOKEN=" ") == TOKEN


def test_a_missing_token_is_one_line_with_the_secret_and_every_place_looked_at(find_token, tmp_path):
    with pytest.raises(UserError) as error:
        find_token()

    message = error.value.message
    assert "\n" not in message
    assert "key token of secret mybot" in message
    for place in ("--token-file", "DISCORD_TOKEN", str(tmp_path / "secrets/mybot/token")):
        assert place in message


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_given_token_file_without_a_token_is_an_error_and_nothing_else_is_looked_at(find_token, tmp_path, content):
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content)

    with pytest.raises(UserError, match=r"given as --token-file, is missing or empty"):
        find_token(file, DISCORD_TOKEN=TOKEN)


@pytest.mark.parametrize("wrong", ["two words", "line\nbreak", "tök€n", "nul\0"])
def test_what_cannot_be_a_token_is_refused_without_showing_it(find_token, wrong):
    with pytest.raises(UserError) as error:
        find_token(DISCORD_TOKEN=wrong)

    assert "DISCORD_TOKEN" in error.value.message
    assert wrong not in error.value.message


def test_another_secret_that_is_missing_says_what_it_is_for_and_where_it_was_looked_for(secrets, tmp_path):
    with pytest.raises(UserError) as error:
        secrets.value(SINK_REF, purpose="authorization for the HTTP sink")

    assert "authorization for the HTTP sink" in error.value.message
    assert "key http of secret bot" in error.value.message
    assert str(tmp_path / "secrets/bot/http") in error.value.message


def test_a_secret_that_is_not_a_file_of_text_is_an_error_of_one_line(secrets, tmp_path):
    (tmp_path / "secrets/bot/http").mkdir(parents=True)

    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        secrets.value(SINK_REF, purpose="x")


@pytest.mark.parametrize("content", ["s3cret\nX-Evil: 1", "s3\rcret", "s3\0cret"])
def test_a_secret_that_cannot_stand_in_a_header_is_refused_without_showing_it(secrets, tmp_path, content):
    write(tmp_path / "secrets/bot/http", content)

    with pytest.raises(UserError, match="must be one line of text") as error:
        secrets.value(SINK_REF, purpose="authorization for the HTTP sink")

    assert str(tmp_path / "secrets/bot/http") in error.value.message
    assert "s3" not in error.value.message


def test_a_file_of_several_lines_may_be_wanted_by_its_path(secrets, tmp_path):
    path = write(tmp_path / "secrets/bot/http", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n")

    assert secrets.file(SINK_REF, purpose="CA certificate") == path
