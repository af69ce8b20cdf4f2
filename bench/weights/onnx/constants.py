"""Constants of an ONNX graph, wherever its exporter keeps them: beside the nodes, in nodes, or rearranged by nodes."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.errors import WeightsError
from bench.weights.optional import required

Constants = dict[str, NDArray[Any]]  # by tensor name
REARRANGE = {"Cast", "Concat", "Expand", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


def constants_of(model: Any, path: Path) -> Constants:
    """Every tensor that is the same for all images: a stored one, or a rearrangement of such.

    Raises:
        WeightsError: a rearrangement is impossible; `path` is for its message.
    """
    to_array = required("onnx").numpy_helper.to_array
    found: Constants = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    for node in model.graph.node:
        stored = [found[name] for name in node.input if name in found]
        if node.op_type == "Constant" or (node.op_type in REARRANGE and len(stored) == len(node.input) > 0):
            found[node.output[0]] = computed(node, found, opsets, path)
    return found


def computed(node: Any, constants: Constants, opsets: dict[str, int], path: Path) -> NDArray[Any]:
    """The result of a node that reads constants alone."""
    onnx = required("onnx")
    inputs, outputs = ([onnx.ValueInfoProto(name=name) for name in names] for names in (node.input, node.output))
    graph = onnx.helper.make_graph([node], "constants", inputs, outputs)  # of a bare node its opset would not count
    evaluator = required("onnx.reference").ReferenceEvaluator(graph, opsets=opsets)
    try:
        (result,) = evaluator.run(None, {name: constants[name] for name in node.input})
    except Exception as error:  # of another kind for each operator
        raise WeightsError(f"{path}: {node.op_type} {node.output[0]} cannot be computed: {error}") from error
    return result
