import type { Seen } from "../../operators/topk/topk-model.js";

/** A candidate made from a number, all of its columns different for different numbers. */
export function rowOf(number: number): Seen {
  return {
    class: (number * 7) % 13,
    key: -number / 3,
    identity: [number, number ^ 0xffff, 0xffffffff - number, 7],
    partition: number % 65_536,
    offset: number * 2 ** 20,
  };
}
