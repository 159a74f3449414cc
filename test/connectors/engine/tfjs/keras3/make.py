"""Writes goldens.json: models of Keras 3 as its JSON has them, their weights under the names that Keras gives, and what they make of two images.
pip install keras tensorflow-cpu (or any backend); python make.py"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras
import numpy as np
from keras import layers as L

keras.utils.set_random_seed(7)
random = np.random.default_rng(7)


def written(name, model, paths, tolerance=2e-5):
    for weight in model.weights:
        values = random.normal(0, 0.5, weight.shape)
        if weight.name == "moving_variance" or weight.name == "variance":
            values = np.abs(values) + 0.5
        weight.assign(values.round(3).astype("float32"))
    side = model.input_shape[1:3]
    images = random.integers(0, 256, (2, *side, 3))
    outputs = model.predict(images.astype("float32") / 255, verbose=0)
    weights = [
        {"name": w.path if paths else "/".join(w.path.split("/")[-2:]), "shape": list(w.shape), "values": np.asarray(w).round(3).reshape(-1).tolist()}
        for w in model.weights
    ]
    topology = {"keras_version": keras.__version__, "backend": "tensorflow", "model_config": json.loads(model.to_json())}
    return {
        "name": name,
        "tolerance": tolerance,
        "topology": topology,
        "weights": weights,
        "pixels": images.reshape(2, -1).tolist(),
        "outputs": outputs.astype(float).round(6).tolist(),
    }


def mobile():
    image = L.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", strides=2, activation="silu", kernel_regularizer=keras.regularizers.L2(1e-4))(image)
    x = L.DepthwiseConv2D(3, padding="same", depthwise_constraint="max_norm")(x)
    x = L.BatchNormalization()(x)
    x = L.ReLU(6.0, negative_slope=0.1, threshold=0.25)(x)
    x = L.Conv2D(4, 1, kernel_initializer=keras.initializers.Orthogonal())(x)
    x = L.LeakyReLU(negative_slope=0.05)(x)
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(4, 1, activation="hard_sigmoid")(x)
    x = L.Multiply()([x, gate])
    x = L.Dropout(0.2)(x)
    x = L.Reshape((4,))(L.Conv2D(4, 1, activation="hard_silu")(x))
    return keras.Model(image, L.Dense(5, activation="linear")(x), name="mobile")


def sized():
    return keras.Sequential(
        [
            L.Input((13, 9, 3)),
            L.Resizing(10, 12),
            L.CenterCrop(7, 8),
            L.RandomFlip("horizontal"),
            L.RandomHue(0.2, value_range=(0, 1)),
            L.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.09, 0.16]),
            L.Rescaling([2.0, 0.5, 1.0], offset=[0.1, 0.0, -0.2]),
            L.Conv2D(3, 3, activation="leaky_relu"),
            L.GlobalMaxPooling2D(),
            L.Dense(4, activation="exponential"),
        ],
        name="sized",
    )


def nested():
    inner = keras.Sequential(
        [L.Input((6, 6, 3)), L.Conv2D(3, 3, activation="relu6"), L.SeparableConv2D(4, 3, activation="gelu")], name="body"
    )
    image = L.Input((6, 6, 3))
    return keras.Model(image, L.Dense(3, activation="softmax")(L.Flatten()(inner(image))), name="nested")


def halved():
    keras.config.set_dtype_policy("mixed_float16")
    image = L.Input((4, 4, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(image))
    model = keras.Model(image, L.Dense(3, dtype="float32")(x), name="halved")
    keras.config.set_dtype_policy("float32")
    return model


models = [
    written("mobile, names with the model's before them", mobile(), True),
    written("pictures of other sizes", sized(), False),
    written("a model within a model", nested(), True),
    written("half floats", halved(), True, 5e-3),
]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens.json"), "w") as file:
    json.dump({"keras": keras.__version__, "models": models}, file, separators=(",", ":"))
    file.write("\n")
