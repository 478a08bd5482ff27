"""Wrong values, and clusters that are too old, are refused by Helm, and it says which."""


def test_all_wrong_values_are_named_at_once(chart):
    """Which values are wrong: tests/unit/chart/test_chart_refused_values.py."""
    said = chart.refusal(
        {
            "replica": 3,
            "replicas": 0,
            "image": {"repository": "discord-gateway:0.1.0", "tag": 2},
            "watchNamespaces": ["Bots"],
            "simulator": {"guild": 5, "rate": "fast"},
        }
    )

    for words in (
        "additional properties 'replica' not allowed",
        "/replicas",
        "/image/repository",
        "/image/tag",
        "/watchNamespaces/0",
        "additional properties 'guild' not allowed",
        "/simulator/rate",
    ):
        assert words in said


def test_an_old_cluster_is_refused_with_what_is_needed(chart):
    done = chart.run("template", "x", kubernetes="1.28.9")

    assert done.returncode != 0
    assert ">=1.29.0-0" in done.stderr


def test_a_vendors_version_is_taken(chart):
    assert chart.run("template", "x", kubernetes="1.31.4-gke.1183000").returncode == 0
