"""One network for each file: starting it takes longer than most tests."""

from collections.abc import Iterator

import pytest

from tests.fakes.comet_network import CometNetwork


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    """Four organisations that run; a test leaves them running."""
    made = CometNetwork(tmp_path_factory.mktemp("n"))
    try:
        yield made.start()
    finally:
        made.end()
