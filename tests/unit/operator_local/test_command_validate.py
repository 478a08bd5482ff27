import pytest
from click.testing import CliRunner

from gateway_operator.command import main


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


def test_a_valid_file_is_summed_up_in_a_line(manifest):
    file = manifest("shards: 32", "sharding: {shardsPerPod: 10}")
    result = run("validate", str(file))

    assert result.exit_code == 0
    assert result.stdout == f"{file}: valid, mybot: 32 shards, 10 in a pod (4 pods), events to http://127.0.0.1:9/\n"


def test_without_a_number_of_shards_discord_decides(manifest):
    assert "as many shards as Discord recommends, 16 in a pod" in run("validate", str(manifest())).stdout


def test_a_part_of_the_set_is_named(manifest):
    file = manifest("shards: 32", "sharding: {firstShardId: 8, lastShardId: 15, shardsPerPod: 8}")

    assert "shards 8 to 15 of 32, 8 in a pod (1 pod)" in run("validate", str(file)).stdout


def test_each_problem_is_a_line_that_names_the_file(manifest):
    file = manifest("shards: 0", "sharding: {shardsPerPod: many}")
    result = run("validate", str(file))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 2
    assert all(line.startswith(f"{file}: spec.shard") for line in result.stderr.splitlines())


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    result = run("validate", str(tmp_path / "absent.yaml"))

    assert result.exit_code == 2
    assert result.stderr == f"cannot read {tmp_path / 'absent.yaml'}: No such file or directory\n"


def test_a_file_that_is_not_text_is_one_line(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    result = run("validate", str(tmp_path / "binary.yaml"))

    assert result.exit_code == 2
    assert "is not UTF-8 text" in result.stderr


@pytest.mark.parametrize("command", [[], ["up"], ["status"], ["validate"]])
def test_help_teaches_with_an_example(command):
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert "  discord-gateway " in result.stdout


def test_the_version_is_told():
    assert run("--version").stdout.startswith("discord-gateway, version ")
