import { counted } from "../../schemas/counted.js";

/** Offsets that are neither in nor lost. */
export function offsetLines({
  emptyOffsets,
  unreadOffsets,
}: {
  readonly emptyOffsets: number;
  readonly unreadOffsets: number;
}): string[] {
  return [
    ...(unreadOffsets === 0
      ? []
      : [
          `  never read   ${counted(unreadOffsets, "offset")} before: the log had removed them when this teacher began, or \`sluice replay\` has yet to score them`,
        ]),
    ...(emptyOffsets === 0
      ? []
      : [
          `  empty        ${counted(emptyOffsets, "offset")} without a record: taken by the topic's compaction, or marks of transactions`,
        ]),
  ];
}
