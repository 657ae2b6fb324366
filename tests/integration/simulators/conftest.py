"""The simulator as a process, once for all tests here that need a network."""

from collections.abc import Iterator

import pytest

from tests.support.graph import GraphSimulator, running_simulator


@pytest.fixture(scope="session")
def graph_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphSimulator]:
    """A simulator with TLS; `graph` gives it fresh."""
    with running_simulator(tmp_path_factory.mktemp("graph")) as simulator:
        yield simulator


@pytest.fixture
def graph(graph_process: GraphSimulator) -> GraphSimulator:
    """The simulator, as new."""
    graph_process.reset()
    return graph_process
