/**
 * Settings of the archive by which a stream of so many images a partition, or a multiple, ends with a whole segment, and begins with
 * one: neither the last one waits for images that do not come, nor is the first one short.
 */
export function wholeSegments(segmentRecords: number) {
  return { segmentRecords, segmentDelayMs: 5000, pauseDelayMs: 5000 };
}
