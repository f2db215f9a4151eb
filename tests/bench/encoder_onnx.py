#!/usr/bin/env python3
"""ONNX graphs of an encoder directory, for ONNX Runtime side by side with ragd.

    encoder_onnx.py MODEL_DIR OUT_DIR

fp32.onnx         as an exporter writes it: MatMul, Add, Softmax, Erf ...
plain.onnx        the same after dynamic quantisation: each MatMul with a weight is
                  DynamicQuantizeLinear, MatMulInteger, Cast, Mul (what quantize_dynamic makes);
                  ONNX Runtime's own optimiser fuses it further when it loads it
qattention.onnx   the transformer-optimised form, quantised: EmbedLayerNormalization, QAttention,
                  DynamicQuantizeMatMul, SkipLayerNormalization, BiasGelu
mha.onnx          the same with one DynamicQuantizeLinear for q, k, v, MatMulIntegerToFloat and
                  MultiHeadAttention (whose CPU form has flash attention)
mha_nomask.onnx   mha.onnx without the mask input, for texts of one length: flash attention needs
                  that there is no mask

Activations u8, asymmetric, per tensor; weights s8, symmetric, per output channel (NAME.onnx) or
per tensor (NAME_pt.onnx). Output: the unit mean vector "embedding" [n, hidden]; with a
classification head "logits" [n, n_labels]."""
import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from encoder_model import EncoderModel  # noqa: E402

OPSET = 17
CONTRIB = "com.microsoft"


def quantise(weight, per_channel):
    """weight [k, n] -> (s8 [k, n], scale, zero point)."""
    top = numpy.abs(weight).max(axis=0) if per_channel else numpy.abs(weight).max()
    scale = (numpy.maximum(top, 1e-12) / 127).astype("<f4")
    q = numpy.clip(numpy.rint(weight / scale), -127, 127).astype("i1")
    return q, numpy.asarray(scale, "<f4"), numpy.zeros(scale.shape, "i1")


class Graph:
    """Nodes in order, constants by content; every value gets a name of its own."""

    def __init__(self, model, per_channel):
        self.model = model
        self.per_channel = per_channel
        self.nodes = []
        self.constants = []
        self.n_values = 0

    def name(self, hint):
        self.n_values += 1
        return f"{hint}_{self.n_values}"

    def constant(self, array, hint="c"):
        name = self.name(hint)
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def op(self, kind, inputs, n_outputs=1, domain="", **attributes):
        outputs = [self.name(kind) for _ in range(n_outputs)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0] + "_node",
                                           domain=domain, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def contrib(self, kind, inputs, n_outputs=1, **attributes):
        return self.op(kind, inputs, n_outputs, CONTRIB, **attributes)

    # ---- linear layers, four ways ----

    def linear_fp32(self, x, linear):
        return self.op("Add", [self.op("MatMul", [x, self.constant(linear[0], "w")]),
                               self.constant(linear[1], "b")])

    def quantised_input(self, x):
        return self.op("DynamicQuantizeLinear", [x], 3)

    def linear_integer(self, quantised, linear):
        x, x_scale, x_zero = quantised
        q, scale, zero = quantise(linear[0], self.per_channel)
        sums = self.op("MatMulInteger", [x, self.constant(q, "w"), x_zero, self.constant(zero, "z")])
        both = self.op("Mul", [x_scale, self.constant(scale, "s")])
        scaled = self.op("Mul", [self.op("Cast", [sums], to=TensorProto.FLOAT), both])
        return self.op("Add", [scaled, self.constant(linear[1], "b")])

    def linear_to_float(self, quantised, linear, with_bias=True):
        x, x_scale, x_zero = quantised
        q, scale, zero = quantise(linear[0], self.per_channel)
        inputs = [x, self.constant(q, "w"), x_scale, self.constant(scale, "s"), x_zero,
                  self.constant(zero, "z")]
        return self.contrib("MatMulIntegerToFloat",
                            inputs + ([self.constant(linear[1], "b")] if with_bias else []))

    def linear_dynamic(self, x, linear, with_bias=True):
        q, scale, zero = quantise(linear[0], self.per_channel)
        inputs = [x, self.constant(q, "w"), self.constant(scale, "s"), self.constant(zero, "z")]
        return self.contrib("DynamicQuantizeMatMul",
                            inputs + ([self.constant(linear[1], "b")] if with_bias else []))

    # ---- the parts of an exported graph ----

    def layer_norm(self, x, norm):
        return self.op("LayerNormalization", [x, self.constant(norm[0]), self.constant(norm[1])],
                       axis=-1, epsilon=self.model.epsilon)

    def gelu(self, x):
        half = self.op("Div", [x, self.constant(numpy.float32(numpy.sqrt(2)))])
        one = self.op("Add", [self.op("Erf", [half]), self.constant(numpy.float32(1))])
        return self.op("Mul", [self.op("Mul", [x, one]), self.constant(numpy.float32(.5))])

    def positions(self):
        """Rows of the position table, [length, hidden]."""
        first = self.constant(numpy.array([self.model.first_position], "<i8"))
        length = self.op("Gather", [self.op("Shape", ["input_ids"]),
                                    self.constant(numpy.array([1], "<i8"))], axis=0)
        return self.op("Slice", [self.constant(self.model.position, "position"), first,
                                 self.op("Add", [length, first]),
                                 self.constant(numpy.array([0], "<i8"))])

    def embedding(self):
        m = self.model
        word = self.op("Gather", [self.constant(m.word, "word"), "input_ids"], axis=0)
        kind = self.op("Gather", [self.constant(m.type, "type"), "token_type_ids"], axis=0)
        return self.layer_norm(self.op("Add", [self.op("Add", [word, kind]), self.positions()]),
                               m.embedding_norm)

    def heads(self, x, order):
        m = self.model
        shape = self.constant(numpy.array([0, 0, m.n_heads, m.hidden // m.n_heads], "<i8"))
        return self.op("Transpose", [self.op("Reshape", [x, shape])], perm=order)

    def attention(self, q, k, v, bias):
        m = self.model
        scores = self.op("MatMul", [self.heads(q, [0, 2, 1, 3]), self.heads(k, [0, 2, 3, 1])])
        root = self.constant(numpy.float32(numpy.sqrt(m.hidden // m.n_heads)))
        scores = self.op("Add", [self.op("Div", [scores, root]), bias])
        mixed = self.op("MatMul", [self.op("Softmax", [scores], axis=-1),
                                   self.heads(v, [0, 2, 1, 3])])
        mixed = self.op("Transpose", [mixed], perm=[0, 2, 1, 3])
        return self.op("Reshape", [mixed, self.constant(numpy.array([0, 0, m.hidden], "<i8"))])

    def mask_bias(self):
        mask = self.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        mask = self.op("Unsqueeze", [mask, self.constant(numpy.array([1, 2], "<i8"))])
        off = self.op("Sub", [self.constant(numpy.float32(1)), mask])
        return self.op("Mul", [off, self.constant(numpy.float32(-10000))])

    # ---- whole encoders ----

    def exported(self, integer):
        x, bias = self.embedding(), self.mask_bias()
        for layer in self.model.layers:
            if integer:
                shared = self.quantised_input(x)
                q, k, v = (self.linear_integer(shared, layer[part]) for part in "qkv")
            else:
                q, k, v = (self.linear_fp32(x, layer[part]) for part in "qkv")
            def linear(value, part):
                return self.linear_integer(self.quantised_input(value), layer[part]) if integer \
                    else self.linear_fp32(value, layer[part])
            mixed = linear(self.attention(q, k, v, bias), "o")
            x = self.layer_norm(self.op("Add", [mixed, x]), layer["norm1"])
            inner = self.gelu(linear(x, "up"))
            x = self.layer_norm(self.op("Add", [linear(inner, "down"), x]), layer["norm2"])
        return x

    def as_int32(self, name):
        return self.op("Cast", [name], to=TensorProto.INT32)

    def fused_embedding(self, masked):
        m = self.model
        position = m.position[m.first_position:]
        inputs = [self.as_int32("input_ids"), self.as_int32("token_type_ids"),
                  self.constant(m.word, "word"), self.constant(position, "position"),
                  self.constant(m.type, "type"), self.constant(m.embedding_norm[0]),
                  self.constant(m.embedding_norm[1])]
        if masked:
            inputs.append(self.as_int32("attention_mask"))
        return self.contrib("EmbedLayerNormalization", inputs, 2, epsilon=m.epsilon)

    def fused(self, kind, masked):
        m = self.model
        x, lengths = self.fused_embedding(masked)
        mask = self.as_int32("attention_mask") if masked else ""
        for layer in m.layers:
            bias = self.constant(numpy.concatenate([layer[p][1] for p in "qkv"]), "b")
            if kind == "qattention":
                packed = numpy.concatenate([layer[p][0] for p in "qkv"], axis=1)
                q, scale, zero = quantise(packed, self.per_channel)
                xq, x_scale, x_zero = self.quantised_input(x)
                mixed = self.contrib(
                    "QAttention", [xq, self.constant(q, "w"), bias, x_scale,
                                   self.constant(scale, "s"), lengths if masked else "", x_zero,
                                   self.constant(zero, "z")], num_heads=m.n_heads)
            else:
                shared = self.quantised_input(x)
                qkv = [self.linear_to_float(shared, layer[p], False) for p in "qkv"]
                mixed = self.contrib("MultiHeadAttention",
                                     qkv + [bias] + ([mask] if masked else []),
                                     num_heads=m.n_heads)
            x = self.skip_norm(self.linear_dynamic(mixed, layer["o"], False), x, layer, "o", "norm1")
            inner = self.contrib("BiasGelu", [self.linear_dynamic(x, layer["up"], False),
                                              self.constant(layer["up"][1], "b")])
            x = self.skip_norm(self.linear_dynamic(inner, layer["down"], False), x, layer, "down",
                               "norm2")
        return x

    def skip_norm(self, value, skip, layer, linear, norm):
        return self.contrib("SkipLayerNormalization",
                            [value, skip, self.constant(layer[norm][0]),
                             self.constant(layer[norm][1]), self.constant(layer[linear][1], "b")],
                            epsilon=self.model.epsilon)

    # ---- what comes out ----

    def mean_vector(self, x, masked):
        axes = numpy.array([1], "<i8")
        if masked:
            mask = self.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
            wide = self.op("Unsqueeze", [mask, self.constant(numpy.array([2], "<i8"))])
            total = self.op("ReduceSum", [self.op("Mul", [x, wide]), self.constant(axes)],
                            keepdims=0)
            x = self.op("Div", [total, self.op("ReduceSum", [mask, self.constant(axes)],
                                               keepdims=1)])
        else:
            x = self.op("ReduceMean", [x], axes=[1], keepdims=0)
        return self.op("Div", [x, self.op("ReduceL2", [x], axes=[1], keepdims=1)])

    def logits(self, x):
        first = self.op("Gather", [x, self.constant(numpy.int64(0))], axis=1)
        dense, out = self.model.head
        return self.linear_fp32(self.op("Tanh", [self.linear_fp32(first, dense)]), out)

    def save(self, x, masked, path):
        output = "logits" if self.model.head else "embedding"
        result = self.logits(x) if self.model.head else self.mean_vector(x, masked)
        self.nodes.append(helper.make_node("Identity", [result], [output]))
        names = ["input_ids", "token_type_ids"] + (["attention_mask"] if masked else [])
        graph = helper.make_graph(
            self.nodes, "encoder",
            [helper.make_tensor_value_info(n, TensorProto.INT64, ["n", "length"]) for n in names],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "width"])],
            self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET),
                                                       helper.make_opsetid(CONTRIB, 1)])
        made.ir_version = 8
        onnx.save(made, str(path))


def main():
    model, out = EncoderModel(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    graph = Graph(model, True)
    graph.save(graph.exported(integer=False), True, out / "fp32.onnx")
    for per_channel in (True, False):
        ending = ".onnx" if per_channel else "_pt.onnx"
        graph = Graph(model, per_channel)
        graph.save(graph.exported(integer=True), True, out / f"plain{ending}")
        for kind, masked, name in (("qattention", True, "qattention"), ("mha", True, "mha"),
                                   ("mha", False, "mha_nomask")):
            graph = Graph(model, per_channel)
            graph.save(graph.fused(kind, masked), masked, out / f"{name}{ending}")


if __name__ == "__main__":
    main()
