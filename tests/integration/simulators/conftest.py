"""The simulator as a process, once for all tests here that need a network, and in this process for the others."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.graph import GraphSimulator, running_simulator
from tests.support.graph_in_process import Graph, graph_in_process


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


@pytest.fixture
async def near() -> AsyncIterator[Graph]:
    """A simulator in this process, with one tenant."""
    async with graph_in_process() as simulator:
        yield simulator
