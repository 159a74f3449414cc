import { resolve } from "node:path";

/** A source as it was typed: a path, made absolute from `folder`, or `s3://bucket/prefix/`, which stays as it is. */
export function sourceArgument(folder: string, input: string): string {
  return /^s3:/i.test(input) ? input : resolve(folder, input);
}
