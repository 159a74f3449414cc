// What it takes to write protocol buffers: https://protobuf.dev/programming-guides/encoding/

/** Fields, one after the other. */
export function message(...fields: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(fields));
}

/** A field of wire type 0. */
export function integer(field: number, value: number): Uint8Array {
  return message(varint(field * 8), varint(value));
}

/** A field of wire type 2: length, then content. */
export function bytes(field: number, content: Uint8Array): Uint8Array {
  return message(varint(field * 8 + 2), varint(content.length), content);
}

export function text(field: number, content: string): Uint8Array {
  return bytes(field, Buffer.from(content));
}

/** A field of wire type 5. */
export function float(field: number, value: number): Uint8Array {
  return message(varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer));
}

/** Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    out.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(out);
}
