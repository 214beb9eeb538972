"""connect(), in a process that no mpiexec has started, or that lacks what it needs."""

import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.distributed import Workers, connect, started_by_mpi
from chainrule.distributed.launch import _environment, _gentle_signal, find_mpiexec
from chainrule.distributed.mpi import COUNTS, RANKS, SIZES, _check_launcher
from chainrule.training import DataParallel


class Loaded:
    """The MPI that mpi4py has loaded."""

    @staticmethod
    def Get_library_version():  # noqa: N802  # as mpi4py calls it
        return "MPICH Version: 5.0\nand more"


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in (*SIZES, *COUNTS, *RANKS):
        monkeypatch.delenv(name, raising=False)


def test_one_alone_is_as_no_workers():
    x, y = np.ones((20, 3), np.float32), np.zeros(20, int)

    def trained(workers):
        net = cr.Model(
            [cr.Linear(3, 4), cr.Dropout(0.5), cr.Linear(4, 2)], cr.SoftmaxCrossEntropy()
        )
        cr.train(net, 0.1, 2, cr.Batches(x, y, 6), workers=workers, verbose=False)
        return net.parameters.tobytes()

    assert not started_by_mpi()
    with connect() as workers:
        assert (workers.rank, workers.size, workers.first) == (0, 1, True)
        assert workers.gather_text("a") == ["a"]
        assert trained(workers) == trained(None) == trained(DataParallel(workers))


def test_an_error_comes_out():
    with pytest.raises(ZeroDivisionError), connect():
        _ = 1 / 0


def test_without_mpi4py_the_remedy_is_said(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[mpi\]'"):
        connect()


@pytest.mark.parametrize("size", ["PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_one_alone_needs_no_mpi4py(monkeypatch, size):
    """As in the shell that a cluster opens for one person."""
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv(size, "1")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with connect() as workers:
        assert workers.size == 1


def test_a_launcher_of_another_mpi_is_told(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    with pytest.raises(RuntimeError, match="Open MPI's mpiexec started 4 workers"):
        _check_launcher(1, Loaded)
    _check_launcher(4, Loaded)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_makes_no_sense(timeout):
    with pytest.raises(ValueError, match="timeout must be above 0"):
        connect(timeout=timeout)


@pytest.mark.parametrize("seconds", [0, 1.9, float("nan")])
def test_a_machine_is_not_lost_at_once(seconds):
    with pytest.raises(ValueError, match="lost_after must be at least 2 seconds"):
        connect(lost_after=seconds)
    assert connect(lost_after=float("inf")).size == 1


@pytest.mark.parametrize("name", ["check_every", "streams"])
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_options_that_make_no_sense(name, value):
    with pytest.raises(ValueError, match=f"DataParallel: {name} must be at least 1"):
        DataParallel(Workers(), **{name: value})


def test_something_that_is_no_workers():
    net = cr.Model([cr.Linear(3, 2)], cr.SoftmaxCrossEntropy())
    with pytest.raises(TypeError, match="workers must be those of"):
        cr.train(net, 0.1, 1, (np.ones((4, 3)), np.zeros(4, int)), workers=4)


def test_the_environment_of_the_workers():
    assert _environment({}, 10_000)["OPENBLAS_NUM_THREADS"] == "1"
    own = _environment({"OMP_NUM_THREADS": "3"}, 2)
    assert own["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in own


def test_the_mpiexec_is_found_and_known():
    assert _gentle_signal(find_mpiexec()) > 0
