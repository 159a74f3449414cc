import * as tf from "@tensorflow/tfjs-core";
import { layers } from "@tensorflow/tfjs-layers";

const EPSILON = 1e-3;

/** The library's own class: it exports no name for it. */
const Standard = layers.layerNormalization({ scale: false, center: false }).constructor as new (
  config: Parameters<typeof layers.layerNormalization>[0],
) => ReturnType<typeof layers.layerNormalization>;

/**
 * The library's layer normalisation without learnt parameters, computed otherwise: the library tiles mean and variance to the
 * input's size, and the gradient of that is a slice and a sum for each value. Registered under the library's name, so that a
 * saved model holds the standard layer, which scores anywhere, and one loaded here can be trained further.
 */
class BroadcastLayerNormalization extends Standard {
  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: Record<string, unknown>): tf.Tensor | tf.Tensor[] {
    const { axis, epsilon, center, scale } = this.getConfig() as {
      axis: number | number[];
      epsilon: number;
      center: boolean;
      scale: boolean;
    };
    if (center || scale) return super.call(inputs, kwargs);
    return tf.tidy(() => {
      const input = Array.isArray(inputs) ? inputs[0]! : inputs;
      const centred = tf.sub(input, tf.mean(input, axis, true));
      const variance = tf.mean(tf.square(centred), axis, true);
      return tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon)));
    });
  }
}
tf.serialization.registerClass(
  BroadcastLayerNormalization as unknown as tf.serialization.SerializableConstructor<tf.serialization.Serializable>,
);

/** Each image's values to mean 0 and variance 1, over everything but the batch's axis; `rank` is the input's. */
export function normalisation(name: string, rank: number): InstanceType<typeof Standard> {
  const axis = Array.from({ length: rank - 1 }, (_, index) => index + 1);
  return new BroadcastLayerNormalization({ name, axis, epsilon: EPSILON, scale: false, center: false });
}
