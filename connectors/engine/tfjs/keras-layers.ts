import * as tf from "@tensorflow/tfjs-core";
import { initializers, layers } from "@tensorflow/tfjs-layers";
import { registerKerasActivations } from "./keras-activations.js";
import { TRAINING_ONLY } from "./keras-topology.js";

/** The least deviation that Keras divides by */
const EPSILON = 1e-7;

/** As the library has it; it exports no name */
type LayerShape = Parameters<layers.Layer["computeOutputShape"]>[0];
type LayerConfig = ConstructorParameters<typeof layers.Layer>[0];

interface NormalizationConfig {
  readonly axis?: number | number[] | null;
  readonly mean?: number | number[] | null;
  readonly variance?: number | number[] | null;
  readonly invert?: boolean;
}

/** Keras's layer of that name: (x - mean) / deviation along the last axis, both from its weights or its configuration. */
class Normalization extends layers.Layer {
  static readonly className = "Normalization";
  readonly #given: NormalizationConfig;

  constructor(config: LayerConfig & NormalizationConfig) {
    super(config);
    this.#given = config;
  }

  override build(inputShape: LayerShape): void {
    const shape = this.#given.axis === null ? [] : [(inputShape as number[]).at(-1)!];
    if (this.#given.mean == null) {
      this.addWeight("mean", shape, "float32", initializers.zeros(), undefined, false);
      this.addWeight("variance", shape, "float32", initializers.ones(), undefined, false);
      this.addWeight("count", [], "float32", initializers.zeros(), undefined, false);
    }
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const input = onlyInput(inputs);
      const { mean, variance, invert } = this.#given;
      const [centre, spread] =
        mean == null || variance == null
          ? [this.weights[0]!.read(), this.weights[1]!.read()]
          : [tf.tensor(mean), tf.tensor(variance)];
      const deviation = tf.maximum(tf.sqrt(spread), EPSILON);
      return invert === true ? tf.add(centre, tf.mul(input, deviation)) : tf.div(tf.sub(input, centre), deviation);
    });
  }

  override computeOutputShape(inputShape: LayerShape): LayerShape {
    return inputShape;
  }
}

interface ReluConfig {
  readonly maxValue?: number | null;
  readonly negativeSlope?: number | null;
  readonly threshold?: number | null;
}

/** Keras's, with the slope and the threshold that the library's own passes over */
class ReLU extends layers.Layer {
  static readonly className = "ReLU";
  readonly #given: ReluConfig;

  constructor(config: LayerConfig & ReluConfig) {
    super(config);
    this.#given = config;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const input = onlyInput(inputs);
      const { maxValue, negativeSlope, threshold } = this.#given;
      const [least, slope] = [threshold ?? 0, negativeSlope ?? 0];
      const below = slope === 0 ? tf.zerosLike(input) : tf.mul(tf.sub(input, least), slope);
      const whole = least === 0 && slope === 0 ? tf.relu(input) : tf.where(tf.less(input, least), below, input);
      return maxValue == null ? whole : tf.minimum(whole, maxValue);
    });
  }

  override computeOutputShape(inputShape: LayerShape): LayerShape {
    return inputShape;
  }
}

interface PoolingConfig {
  readonly dataFormat?: string;
  readonly keepdims?: boolean;
}

/** Keras's pooling of whole pictures, with `keepdims`, which the library's own passes over */
abstract class GlobalPooling extends layers.Layer {
  readonly #axes: [number, number];
  readonly #isKept: boolean;

  constructor(config: LayerConfig & PoolingConfig) {
    super(config);
    this.#axes = config.dataFormat === "channelsFirst" ? [2, 3] : [1, 2];
    this.#isKept = config.keepdims === true;
  }

  protected abstract pool(input: tf.Tensor, axes: [number, number], isKept: boolean): tf.Tensor;

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => this.pool(onlyInput(inputs), this.#axes, this.#isKept));
  }

  override computeOutputShape(inputShape: LayerShape): LayerShape {
    const dims = (inputShape as (number | null)[]).map((dim, at) => (this.#axes.includes(at) ? 1 : dim));
    return this.#isKept ? dims : dims.filter((_, at) => !this.#axes.includes(at));
  }
}

class GlobalAveragePooling2D extends GlobalPooling {
  static readonly className = "GlobalAveragePooling2D";
  protected override pool(input: tf.Tensor, axes: [number, number], isKept: boolean): tf.Tensor {
    return tf.mean(input, axes, isKept);
  }
}

class GlobalMaxPooling2D extends GlobalPooling {
  static readonly className = "GlobalMaxPooling2D";
  protected override pool(input: tf.Tensor, axes: [number, number], isKept: boolean): tf.Tensor {
    return tf.max(input, axes, isKept);
  }
}

interface SideConfig {
  readonly height: number;
  readonly width: number;
  readonly interpolation?: string;
  readonly dataFormat?: string;
}

/** What gives pictures of another size, NHWC */
abstract class SizedPicture extends layers.Layer {
  protected readonly given: SideConfig;

  constructor(config: LayerConfig & SideConfig) {
    super(config);
    this.given = config;
  }

  override computeOutputShape(inputShape: LayerShape): LayerShape {
    const [count, , , depth] = inputShape as (number | null)[];
    return [count!, this.given.height, this.given.width, depth!];
  }
}

/** As tf.image.resize: pixels have their centres at halves, where the library's own puts the corners' upon each other */
class Resizing extends SizedPicture {
  static readonly className = "Resizing";

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const input = onlyInput(inputs) as tf.Tensor4D;
    const { height, width, interpolation = "bilinear" } = this.given;
    if (input.shape[1] === height && input.shape[2] === width) return input.clone();
    const resize = interpolation === "nearest" ? tf.image.resizeNearestNeighbor : tf.image.resizeBilinear;
    return tf.tidy(() => resize(input, [height, width], false, true));
  }
}

class CenterCrop extends SizedPicture {
  static readonly className = "CenterCrop";

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const input = onlyInput(inputs) as tf.Tensor4D;
    const [, tall, wide] = input.shape;
    const { height, width } = this.given;
    if (tall < height || wide < width) {
      throw new Error(
        `expected pictures of at least ${width} x ${height} px for the layer ${this.name} (CenterCrop), found ${wide} x ${tall}`,
      );
    }
    const [top, left] = [Math.floor((tall - height) / 2), Math.floor((wide - width) / 2)];
    return tf.slice(input, [0, top, left, 0], [-1, height, width, -1]);
  }
}

function onlyInput(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}

/** Teaches TensorFlow.js the layers of Keras that image models have and that it lacks, or does otherwise. */
export function registerKerasLayers(): void {
  registerKerasActivations();
  for (const own of [Normalization, ReLU, GlobalAveragePooling2D, GlobalMaxPooling2D, Resizing, CenterCrop])
    tf.serialization.registerClass(own);
  for (const className of TRAINING_ONLY) {
    tf.serialization.registerClass(
      class extends layers.Layer {
        static readonly className = className;
        override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
          return onlyInput(inputs).clone();
        }
        override computeOutputShape(inputShape: LayerShape): LayerShape {
          return inputShape;
        }
      },
    );
  }
}
