import * as tf from "@tensorflow/tfjs-core";

/**
 * The gradient of a matrix product with the transposes made first. The library asks the kernel for a product with a transposed
 * operand, for which the WebAssembly backend has a loop of its own in place of its fast kernel: 8 to 10 times as slow for
 * the shapes of patch convolutions. Replaces the library's gradient for the whole process.
 */
export function registerMatMulGradient(): void {
  tf.unregisterGradient(tf.BatchMatMul);
  tf.registerGradient({
    kernelName: tf.BatchMatMul,
    inputsToSave: ["a", "b"],
    gradFunc: (dy, saved, attributes) => {
      const [a, b] = saved as [tf.Tensor, tf.Tensor];
      const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
      const up = dy as tf.Tensor;
      const product = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.matMul(x, y);
      const plainA = (): tf.Tensor => (transposeA ? swapped(a) : a);
      const plainB = (): tf.Tensor => (transposeB ? swapped(b) : b);
      return {
        a: () => (transposeA ? product(plainB(), swapped(up)) : product(up, swapped(plainB()))),
        b: () => (transposeB ? product(swapped(up), plainA()) : product(swapped(plainA()), up)),
      };
    },
  });
}

/** The last two axes swapped; those before them count the matrices. */
function swapped(matrices: tf.Tensor): tf.Tensor {
  const axes = matrices.shape.map((_, axis) => axis);
  return tf.transpose(matrices, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]);
}
