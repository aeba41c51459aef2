import pytest

pytest.register_assert_rewrite("seatrial", "fixtures")
pytest_plugins = [
    "seatrial.garbage",
    "seatrial.plugin",
    "fixtures.run",
    "fixtures.cluster",
    "fixtures.model_engine",
    "fixtures.infra",
    "fixtures.permissions",
    "fixtures.preflight",
    "fixtures.gpu",
    "fixtures.tier_b",
]
