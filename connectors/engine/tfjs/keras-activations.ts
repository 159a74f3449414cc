import * as tf from "@tensorflow/tfjs-core";
import { ACTIVATIONS } from "./keras-topology.js";

/** The slope below 0 of Keras's activation `leaky_relu`, which no model file says */
const LEAKY_SLOPE = 0.2;

/** relu6(x + 3) / 6 */
const hardSigmoid = (x: tf.Tensor): tf.Tensor => tf.div(tf.relu6(tf.add(x, 3)), 6);

const APPLY: Readonly<Record<keyof typeof ACTIVATIONS, (x: tf.Tensor) => tf.Tensor>> = {
  hardSigmoidOfKeras3: hardSigmoid,
  hardSwish: (x) => tf.mul(x, hardSigmoid(x)),
  leakyRelu: (x) => tf.leakyRelu(x, LEAKY_SLOPE),
  exponential: (x) => tf.exp(x),
};

/** Teaches TensorFlow.js Keras's activations that it lacks, or has under another meaning. */
export function registerKerasActivations(): void {
  for (const [className, apply] of Object.entries(APPLY)) {
    tf.serialization.registerClass(
      class extends tf.serialization.Serializable {
        static readonly className = className;
        apply(x: tf.Tensor): tf.Tensor {
          return tf.tidy(() => apply(x));
        }
        override getConfig(): tf.serialization.ConfigDict {
          return {};
        }
      },
    );
  }
}
