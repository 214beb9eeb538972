"""The mistakes that the checker knows: a stable identifier, what is wrong, and the remedy."""

from dataclasses import dataclass

__all__ = ["MISTAKES", "Mistake"]


@dataclass(frozen=True)
class Mistake:
    """One kind of mistake.

    Attributes
    ----------
    sentence : str
        What is wrong, in plain words; the evidence with its numbers is added by the checker.
    remedy : str
        What to do.
    """

    sentence: str
    remedy: str


MISTAKES: dict[str, Mistake] = {
    "sign": Mistake(
        "the gradient has the wrong sign",
        "look for a missing or an extra minus; a step along it would climb the loss.",
    ),
    "scaled_by_batch": Mistake(
        "the gradient is scaled by the number of samples",
        "layers sum over the mini-batch, and the loss takes the mean, once. "
        "Look for a mean() that should be a sum(), or the reverse.",
    ),
    "constant_factor": Mistake(
        "the gradient is a constant times the right one",
        "look for a lost factor of the formula, as the 2 of a square, or a mean over an axis.",
    ),
    "transposed": Mistake(
        "the gradient is the transpose of the right one",
        "a parameter's gradient has the parameter's shape: for y = x @ W it is x.T @ grad.",
    ),
    "ignores_upstream": Mistake(
        "the gradient does not depend on what came from above",
        "the chain rule is a product: multiply the local derivative by grad.",
    ),
    "derivative_at_output": Mistake(
        "the derivative is taken at the wrong one of input and output",
        "look which of the two the formula needs, f'(x) or a form in y = f(x), and keep that one.",
    ),
    "stale_cache": Mistake(
        "backward works with what an earlier forward kept",
        "keep what backward needs anew in every forward, never only the first time.",
    ),
    "mutates_input": Mistake(
        "forward or backward writes into the input it was given",
        "write into an array of your own: y = x.copy(), or self.buffer(...).",
    ),
    "mutates_upstream": Mistake(
        "backward writes into the gradient it was given",
        "write grad = grad * ... instead of grad *= ...: another layer may need it too.",
    ),
    "accumulates": Mistake(
        "the gradients add up from call to call",
        "assign the gradient in backward (=) instead of adding to it (+=), or start it from zero.",
    ),
    "missing_gradient": Mistake(
        "the gradient was never computed",
        "set it in backward, under the name that the parameter's declaration gives.",
    ),
    "wrong_shape": Mistake(
        "the gradient has another shape than the array it belongs to",
        "a gradient has one entry for each entry of its array.",
    ),
    "not_reduced": Mistake(
        "the gradient is not summed over the axes along which the parameter was broadcast",
        "sum it over these axes: a parameter that serves many entries collects the "
        "gradients of all.",
    ),
    "wrong_axis": Mistake(
        "the gradient is summed over the wrong axes",
        "sum over the axes that the parameter does not have, as axis=0 for biases.",
    ),
    "softmax_diagonal_only": Mistake(
        "only the diagonal of the Jacobian is used",
        "each output depends on every input of its row: y * (grad - (grad * y).sum(-1)).",
    ),
    "missing_mean_term": Mistake(
        "the term through the mean is missing",
        "the mean depends on every input: subtract the mean of the gradient over the same axes.",
    ),
    "missing_variance_term": Mistake(
        "the term through the variance is missing",
        "the deviation depends on every input: subtract x_hat * mean(grad * x_hat).",
    ),
    "missing_residual_path": Mistake(
        "one of the two paths of the residual connection is missing",
        "add what comes back through both: grad + f.backward(grad).",
    ),
    "mask_lost": Mistake(
        "the mask of the forward is not applied just once in the backward",
        "keep the mask in forward, and multiply grad by it, once.",
    ),
    "scale_lost": Mistake(
        "the scale 1 / (1 - p) of the forward is missing in the backward",
        "multiply grad by the same scaled mask as the input.",
    ),
    "uses_updated_weights": Mistake(
        "backward changes a parameter",
        "backward only computes gradients, with the parameters as forward saw them; "
        "the optimiser changes the parameters afterwards.",
    ),
    "integer_division_or_truncation": Mistake(
        "the gradient lost its fraction",
        "look for //, int(), or an array of an integer type that results are written into.",
    ),
    "float32_inside": Mistake(
        "a float64 computation is rounded to float32 on its way",
        "compute in the type of the input: look for astype, or arrays made with dtype=float32.",
    ),
    "overflow": Mistake(
        "NaN or infinity comes out where the true value is finite",
        "use the stable form, as exp(x - x.max()) in a softmax.",
    ),
    "aliased_buffers": Mistake(
        "an array that was returned is overwritten by the next call",
        "return an array of its own each time, or a copy; or get it by self.buffer(...).",
    ),
    "off_by_one_window": Mistake(
        "the window is shifted or cut by one",
        "check the ends of the ranges over the window and the position.",
    ),
    "wrong_flip": Mistake(
        "the kernel is used in the wrong orientation",
        "one direction correlates, the way back convolves: flip the kernel's positions.",
    ),
    "last_step_only": Mistake(
        "the gradient is that of one step of the sequence alone",
        "the parameter serves every step: add up the gradients of all (+= inside the loop).",
    ),
    "not_deterministic": Mistake(
        "two forwards of the same input differ",
        "draw from a generator that is an attribute of the layer (self.rng), so that the checker "
        "can hold it still.",
    ),
}
