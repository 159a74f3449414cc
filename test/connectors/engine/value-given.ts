/** The u8 value of a pixel that a runner is given, as it is or normalised as (u8/255 - 0.5) / 0.25. */
export function valueGiven(input: Float32Array | Uint8Array, at: number): number {
  return input instanceof Uint8Array ? input[at]! : Math.round((input[at]! * 0.25 + 0.5) * 255);
}
