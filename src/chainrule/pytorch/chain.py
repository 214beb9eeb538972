"""Modules one after the other: our layer for each, and how the values lie between them."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from chainrule import layers
from chainrule.layer import Layer
from chainrule.pytorch.places import ELEMENTWISE, VECTORS
from chainrule.storage import one_line

__all__ = ["Chain", "Converter"]

# From a module to the layer or layers that do the same.
Converter = Callable[[Any], Layer | list[Layer]]


# What takes flattened images in our order too, its weights along with them.
IN_ANY_ORDER = (*ELEMENTWISE, *VECTORS, layers.Flatten)


class _No(Exception):  # noqa: N818  # says no to one module; never leaves this file
    """Why a module has no layer."""


class Chain:
    """Goes through a module, and notes for each part our layers, or why there are none.

    Attributes
    ----------
    first : bool
        Whether the channels are on axis 1 at this place of the module.
    axes : int or None
        How many axes there are besides samples and channels, where it is known.
    names : dict of str to str
        From PyTorch's names of parts to ours.
    problems : list of str
    own : list of Layer
        Those that a converter of the user's made.
    minds_order : bool
        Whether a layer, which cannot take its weights in another order, comes after the flattening
        of images, or before it and is not known to leave their order as it is.
    """

    def __init__(self, converters: Mapping[type, Converter], transposed: bool, known: bool) -> None:
        self.converters = converters
        self.transposed = transposed  # whether images are transposed before they are flattened
        self.known = known  # whether an example will tell if modules are the chain of their parts
        self.first = False
        self.axes: int | None = None
        self.input_first = False
        self.input_shape: tuple[int, ...] | None = None
        self.names: dict[str, str] = {}
        self.problems: list[str] = []
        self.own: list[Layer] = []
        self.minds_order = False
        self._flat = False  # whether what flows here is images, flattened in our order
        self._own_names: list[str] = []
        self._begun = False

    def start(self, shape: tuple[int, ...] | None) -> None:
        """Note the shape of an input: with four axes it is images, channels first."""
        if shape is None:
            return
        self.axes = len(shape) - 2
        if 2 <= len(shape) <= 4:
            self.input_shape = (*shape[2:], shape[1])
        if len(shape) == 4:
            self._channels_first(2)

    def is_own(self, name: str) -> bool:
        """Whether an array of the state dict belongs to a module that the user converted."""
        return any(name.startswith(f"{start}." if start else "") for start in self._own_names)

    def call(self, module: Any, example: Any) -> Any:
        """Return what a module makes of an example, for those that return more than that."""
        import torch

        if isinstance(module, torch.nn.MultiheadAttention):
            return module(example, example, example, need_weights=False)[0]
        outputs = module(example)
        return outputs[0] if isinstance(module, torch.nn.RNNBase) else outputs

    # -- the parts ------------------------------------------------------------------------------

    def layers_of(self, module: Any, theirs: str = "", ours: str = "") -> list[Layer]:
        """Return the layers of a module's children, in order; of itself if it is one layer."""
        import torch

        if type(module) is not torch.nn.Sequential and self._has_rule(module):
            return self._converted(module, theirs, _path(ours, 0))
        self._check_hooks(module, theirs)
        found: list[Layer] = []
        # Not named_children(), which leaves out a module that stands there twice.
        children = [(name, child) for name, child in module._modules.items() if child is not None]
        if not _is_sequential(module):
            own = [n for n, _ in module.named_parameters(recurse=False)]
            if not children or own or not self.known:
                self.problems.append(
                    f"{_where(theirs)}{type(module).__name__}: {self._why(own, bool(children))}"
                )
                return []
        for name, child in children:
            path = _path(ours, len(found))
            child_name = f"{theirs}.{name}" if theirs else name
            if self._has_rule(child):
                found += self._converted(child, child_name, path, alone=False)
            else:
                inner = self.layers_of(child, child_name, path)
                found += [layers.Sequential(inner)] if inner else []
        return found

    @staticmethod
    def _why(own: list[str], has_children: bool) -> str:
        if not has_children and not own:
            return "there is no such layer here"
        if own:
            return f"it has parameters of its own ({', '.join(own)}); give converters"
        return (
            "it has a forward of its own. Give an example, which proves whether that is the chain "
            "of its children, or converters"
        )

    def _has_rule(self, module: Any) -> bool:
        from chainrule.pytorch.convert import RULES

        return type(module) in self.converters or _known_name(module) in RULES

    def _converted(self, module: Any, theirs: str, path: str, alone: bool = True) -> list[Layer]:
        """Return the layers of one module: one, or a chain in one where there are several."""
        from chainrule.pytorch.convert import RULES

        self._check_hooks(module, theirs)
        if type(module) in self.converters:
            made = self.converters[type(module)](module)
            found = [made] if isinstance(made, Layer) else list(made)
            self.own += found
            self.minds_order |= self.first or self._flat
            self._own_names.append(theirs)
            return found if len(found) < 2 else [layers.Sequential(found)]
        names: dict[str, str] = {"": ""}
        try:
            found = RULES[_known_name(module)](self, module, names)
        except (_No, ValueError) as no:  # ValueError: a setting that our layer refuses
            why = str(no).rstrip(".")
            what = one_line(" ".join(str(module).split()))
            self.problems.append(f"{_where(theirs)}{what}: {why}")
            return []
        if any(isinstance(layer, layers.Linear) for layer in found):  # its weights follow the order
            self._flat = False
        self.minds_order |= self._flat and not all(isinstance(part, IN_ANY_ORDER) for part in found)
        if len(found) > 1:
            found = [layers.Sequential(found)]
        if found:
            for inner, ours in names.items():
                self.names[".".join(filter(None, [theirs, inner]))] = ".".join(
                    filter(None, [path, ours])
                )
        return found

    def _check_hooks(self, module: Any, theirs: str) -> None:
        """Hooks may change what a module does."""
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        # A module that is one layer here may be made of others there.
        inner = module.named_modules() if self._has_rule(module) else [("", module)]
        for name, part in inner:
            what = f"{_where('.'.join(filter(None, [theirs, name])))}{type(part).__name__}"
            if any(getattr(part, hook, None) for hook in hooks):
                self.problems.append(f"{what}: it has hooks, which may change what it does. "
                                     "Remove them")  # fmt: skip
            if "forward" in vars(part):
                self.problems.append(f"{what}: its forward was replaced by another")

    # -- what rules ask and tell ----------------------------------------------------------------

    def no(self, why: str) -> NoReturn:
        """Say that there is no layer for the module at hand."""
        raise _No(why)

    def _channels_first(self, axes: int) -> None:
        if not self._begun:
            self.input_first = True
        self.first, self.axes, self._begun = True, axes, True

    def images(self, axes: int) -> None:
        """Note a module that takes channels on axis 1, and that many axes after it."""
        if self.first and self.axes not in (axes, None):
            self.no(f"it takes {axes} axes after the channels, and there are {self.axes}")
        if self._begun and not self.first:
            self.no("what comes before it has the channels last, it takes them on axis 1")
        self._channels_first(axes)

    def vectors(self, axes: int | None = None) -> None:
        """Note a module that acts on the last axis, with ``axes`` before it besides samples."""
        if self.first:
            self.no("it acts on the last axis, which is no axis of channels here")
        self._begun = True
        if axes is not None:
            self.axes = axes

    def last_axis(self, dim: int | None) -> None:
        """Refuse a module that acts along ``dim`` if that is not where our channels are."""
        if self.first and self.axes is not None:
            wanted = {1, -1 - self.axes}
        else:
            wanted = {-1} if self.axes is None else {-1, self.axes + 1}
            if self.axes is None and dim in (None, 1):  # two axes, as far as anyone can tell
                return
        if (1 if dim is None else dim) not in wanted:
            self.no(f"it acts along axis {dim}, ours along that of the channels")

    def flattened(self) -> list[Layer]:
        """Return what flattens: images in their own order where nothing sets it right later."""
        found: list[Layer] = [layers.Flatten()]
        if self.first and self.transposed:
            order = [self.axes + 1, *range(1, self.axes + 1)] if self.axes else [1]
            found.insert(0, layers.Transpose(order))
        self._flat |= self.first and not self.transposed
        self.first, self.axes, self._begun = False, 0, True
        return found


def _is_sequential(module: Any) -> bool:
    import torch

    return type(module) is torch.nn.Sequential


def _known_name(module: Any) -> str:
    """Return the name of one of PyTorch's own classes; nothing for a class derived from one."""
    cls = type(module)
    return cls.__name__ if cls.__module__.startswith("torch.nn.modules.") else ""


def _where(name: str) -> str:
    return f"{name} = " if name else ""


def _path(ours: str, position: int) -> str:
    return f"{ours}.{position}" if ours else str(position)
