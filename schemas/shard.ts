/** Classes c with c mod count = index: one of `count` class shards, each a partition of the candidates topic. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** All classes: what one machine keeps. */
export const WHOLE: Shard = { index: 0, count: 1 };

/** The class shard, and so the partition of the candidates topic, that keeps a class. */
export function shardOfClass(classIndex: number, shards: number): number {
  return classIndex % shards;
}

/** Which of L classes a shard keeps: 1, else 0, [L] */
export function ownClasses({ index, count }: Shard, classes: number): Uint8Array {
  return Uint8Array.from({ length: classes }, (_, classIndex) => (shardOfClass(classIndex, count) === index ? 1 : 0));
}

/** As part of a key: `0` where there is one shard only. */
export function shardName({ index, count }: Shard): string {
  return count === 1 ? String(index) : `${index}-of-${count}`;
}

/** The shard that a name means; null for another text. */
export function shardNamed(name: string): Shard | null {
  const [, index, count] = /^(\d+)(?:-of-(\d+))?$/.exec(name) ?? [];
  return index === undefined ? null : { index: Number(index), count: count === undefined ? 1 : Number(count) };
}
