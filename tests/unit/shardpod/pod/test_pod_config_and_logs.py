"""The environment is read once and complained about by name; logs never show a secret."""

import json

import pytest
import structlog

import shardpod.pod.config as config_module
from shardpod.logs import Redact, configure_logs
from shardpod.pod.config import ConfigError, read_config

TOKEN = 'the"bots\\token-é'
WHOLE = {
    "GATEWAY_POD_NAME": "mybot-e1-0-15",
    "GATEWAY_CONTROL_ADDRESSES": "unix:/run/o.sock, ws://operator-0:7000,wss://operator-1:7000,",
    "GATEWAY_CONTROL_SECRET": "control-secret",
    "DISCORD_TOKEN": "bot-token",
}


def test_a_whole_environment_is_read(tmp_path):
    config = read_config(
        {
            **WHOLE,
            "GATEWAY_SINK_AUTHORIZATION": "sink-secret",
            "GATEWAY_HTTP_ADDRESS": "[::1]:9090",
            "GATEWAY_LOG_FORMAT": "json",
            "GATEWAY_LOG_LEVEL": "debug",
            "GATEWAY_POD_INSTANCE": "mybot-e1-0-15.7",
            "GATEWAY_SCRATCH": str(tmp_path),
            "GATEWAY_TERMINATION_GRACE": "600.5",
        }
    )

    assert (config.pod, config.instance) == ("mybot-e1-0-15", "mybot-e1-0-15.7")
    assert (config.scratch, config.termination_grace) == (tmp_path, 600.5)
    assert config.control_addresses == ("unix:/run/o.sock", "ws://operator-0:7000", "wss://operator-1:7000")
    assert (config.http_host, config.http_port) == ("::1", 9090)
    assert (config.log_format, config.log_level) == ("json", "debug")
    assert set(config.secrets) == {"control-secret", "bot-token", "sink-secret"}


def test_what_may_be_left_out_has_defaults():
    config = read_config(WHOLE)

    assert (config.ca_file, config.sink_authorization) == (None, None)
    assert (config.http_host, config.http_port) == ("127.0.0.1", 0)
    assert (config.log_format, config.log_level) == (None, "info")
    assert (config.instance, config.scratch, config.termination_grace) == ("mybot-e1-0-15", None, 30.0)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_instance_without_a_name_of_its_own_has_the_pods(value):
    assert read_config({**WHOLE, "GATEWAY_POD_INSTANCE": value}).instance == "mybot-e1-0-15"


@pytest.mark.parametrize("value", ["", None])
def test_a_pod_without_scratch_keeps_nothing_on_disk(value):
    environ = WHOLE if value is None else {**WHOLE, "GATEWAY_SCRATCH": value}

    assert read_config(environ).scratch is None


def test_scratch_that_is_no_directory_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for wrong in (file, tmp_path / "missing"):
        with pytest.raises(ConfigError, match=r"GATEWAY_SCRATCH is '.*', expected a directory that can be written to"):
            read_config({**WHOLE, "GATEWAY_SCRATCH": str(wrong)})


def test_scratch_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(config_module.os, "access", lambda path, mode: not mode & config_module.os.W_OK)
    with pytest.raises(ConfigError, match="GATEWAY_SCRATCH"):
        read_config({**WHOLE, "GATEWAY_SCRATCH": str(tmp_path)})


@pytest.mark.parametrize("value", ["soon", "30s", "0", "-1", "nan", "inf", "-inf", "1e999"])
def test_a_grace_that_is_no_number_of_seconds_is_named(value):
    with pytest.raises(ConfigError, match=rf"GATEWAY_TERMINATION_GRACE is '{value}', expected seconds such as 30"):
        read_config({**WHOLE, "GATEWAY_TERMINATION_GRACE": value})


@pytest.mark.parametrize("name", list(WHOLE))
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_is_named(name, value):
    environ = {key: given for key, given in WHOLE.items() if key != name}
    if value is not None:
        environ[name] = value
    with pytest.raises(ConfigError, match=name):
        read_config(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_CONTROL_ADDRESSES", "http://operator"),
        ("GATEWAY_CONTROL_ADDRESSES", "unix:/ok,tcp:1"),
        ("GATEWAY_CONTROL_ADDRESSES", " , ,"),
        ("GATEWAY_HTTP_ADDRESS", "8080"),
        ("GATEWAY_HTTP_ADDRESS", ":8080"),
        ("GATEWAY_HTTP_ADDRESS", "127.0.0.1:http"),
        ("GATEWAY_HTTP_ADDRESS", "127.0.0.1:65536"),
        ("GATEWAY_LOG_FORMAT", "xml"),
        ("GATEWAY_LOG_LEVEL", "verbose"),
        ("GATEWAY_DISCORD_CA_FILE", "/does/not/exist.pem"),
        ("GATEWAY_SINK_AUTHORIZATION", "two\r\nX-Header: lines"),
    ],
)
def test_what_is_wrong_is_named(name, value):
    with pytest.raises(ConfigError, match=name):
        read_config({**WHOLE, name: value})


def test_the_error_of_a_secret_does_not_show_it():
    with pytest.raises(ConfigError) as caught:
        read_config({**WHOLE, "GATEWAY_SINK_AUTHORIZATION": "sink-secret\nsecond"})

    assert "sink-secret" not in str(caught.value)


def test_a_ca_file_that_is_no_certificate_is_named(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ConfigError, match="GATEWAY_DISCORD_CA_FILE"):
        read_config({**WHOLE, "GATEWAY_DISCORD_CA_FILE": str(file)})


@pytest.mark.parametrize("name", ["DISCORD_TOKEN", "GATEWAY_CONTROL_SECRET", "GATEWAY_SINK_AUTHORIZATION"])
def test_the_newline_at_the_end_of_a_secret_file_is_not_part_of_it(name):
    config = read_config({**WHOLE, name: "from-a-file\n"})

    assert "from-a-file" in config.secrets


def test_no_repr_of_the_configuration_shows_a_secret():
    config = read_config({**WHOLE, "GATEWAY_SINK_AUTHORIZATION": "sink-secret"})

    for secret in config.secrets:
        assert secret not in repr(config)


# Logs.


@pytest.fixture(autouse=True)
def _unconfigured_afterwards():
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_never_reach_the_log_not_even_by_tracebacks_and_nested_values(capsys, log_format):
    configure_logs(log_format=log_format, level="debug", secrets=["bot-token", TOKEN], pod="mybot-e1-0-15")
    log = structlog.get_logger("test")
    log.info("with bot-token inside", value="Bot bot-token", nested={"list": ["bot-token", ("bot-token",)]})
    log.warning("bytes", payload=b"bot-token", object=ValueError("bot-token"), plain={"bot-token"})
    log.warning("quoted", value=TOKEN, nested=[{"deep": TOKEN}], object=ValueError(TOKEN))
    try:
        json.loads(f"refused: {TOKEN} and bot-token")
    except ValueError as error:
        error.add_note(f"refused: {TOKEN} and bot-token")
        log.exception("failed")
    out = capsys.readouterr().err

    assert out.count("\n") >= 4
    assert "mybot-e1-0-15" in out
    assert "bot-token" not in out
    assert TOKEN not in out
    assert "token-" not in out, "nor as a repr writes it"


def test_json_logs_are_one_object_a_line(capsys):
    configure_logs(log_format="json", level="info", secrets=[], pod="p")
    structlog.get_logger("test").info("said", number=5, none=None, yes=True, ratio=0.5)
    structlog.get_logger("test").debug("not said")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)

    assert (entry["event"], entry["number"], entry["none"], entry["yes"], entry["ratio"]) == (
        "said",
        5,
        None,
        True,
        0.5,
    )
    assert (entry["pod"], entry["level"]) == ("p", "info")


def test_an_empty_secret_hides_nothing():
    assert Redact(["", "x"])(None, "info", {"event": "abc"}) == {"event": "abc"}
