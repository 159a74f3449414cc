import * as tf from "@tensorflow/tfjs-core";
import { initializers, layers } from "@tensorflow/tfjs-layers";
import { TRAINING_ONLY } from "./keras-topology.js";

/** The least deviation that Keras divides by */
const EPSILON = 1e-7;

/** As the library has it; it exports no name */
type LayerShape = Parameters<layers.Layer["computeOutputShape"]>[0];
type LayerConfig = ConstructorParameters<typeof layers.Layer>[0];

interface NormalizationConfig {
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
    const shape = [(inputShape as number[]).at(-1)!];
    if (this.#given.mean == null) {
      this.addWeight("mean", shape, "float32", initializers.zeros(), undefined, false);
      this.addWeight("variance", shape, "float32", initializers.ones(), undefined, false);
      this.addWeight("count", [], "float32", initializers.zeros(), undefined, false);
    }
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const input = Array.isArray(inputs) ? inputs[0]! : inputs;
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

/** Teaches TensorFlow.js the layers of Keras that image models begin with and that it lacks. */
export function registerKerasLayers(): void {
  tf.serialization.registerClass(Normalization);
  for (const className of TRAINING_ONLY) {
    tf.serialization.registerClass(
      class extends layers.Layer {
        static readonly className = className;
        override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
          return (Array.isArray(inputs) ? inputs[0]! : inputs).clone();
        }
        override computeOutputShape(inputShape: LayerShape): LayerShape {
          return inputShape;
        }
      },
    );
  }
}
