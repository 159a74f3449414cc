import type { Tensor } from "@tensorflow/tfjs-core";

/** Values of a tensor, float32. */
export interface PackedTensor {
  readonly shape: number[];
  readonly values: Float32Array;
}

/** Groups of tensors as bytes: the length of a JSON line of their shapes (u32, little-endian), the line, and all values (float32, to the bit). */
export async function packTensors(groups: readonly (readonly Tensor[])[]): Promise<Uint8Array> {
  const shapes = Buffer.from(JSON.stringify(groups.map((group) => group.map(({ shape }) => shape))));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(shapes.length);
  const parts: Buffer[] = [head, shapes];
  for (const tensor of groups.flat()) parts.push(Buffer.from(Float32Array.from(await tensor.data()).buffer));
  return new Uint8Array(Buffer.concat(parts));
}

/** What `packTensors` packed. */
export function unpackTensors(bytes: Uint8Array): PackedTensor[][] {
  const buffer = Buffer.from(bytes);
  const length = buffer.readUInt32LE(0);
  const groups = JSON.parse(buffer.toString("utf8", 4, 4 + length)) as number[][][];
  let at = 4 + length;
  return groups.map((group) =>
    group.map((shape) => {
      const size = shape.reduce((all, side) => all * side, 1);
      // A copy, since the values need not begin at a multiple of four.
      const values = new Float32Array(new Uint8Array(buffer.subarray(at, at + 4 * size)).buffer);
      at += 4 * size;
      return { shape, values };
    }),
  );
}
