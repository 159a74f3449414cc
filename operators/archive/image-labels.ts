import { getIfThere, type Store } from "../../connectors/store/store.js";
import {
  DIRECT_LABELS,
  decodeLabelSegment,
  encodeLabelSegment,
  LABEL_SEGMENT_VERSION,
  type ImageLabel,
  type LabelFrontier,
  type LabelSegment,
} from "../../schemas/image-label.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys, labelPlace } from "../../schemas/keys.js";
import { LabelledImages } from "../select/retractions.js";

/**
 * The label log of a stream, archived like scores: segments that follow on each other, each created only if absent, from
 * offset 0 of each partition on. Nothing is ever removed from it.
 */

/** Where a labelled stream's archived labels end now, by partition; `known`: where they ended before. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT. */
export async function labelFrontier(store: Store, stream: string, known: LabelFrontier = []): Promise<LabelFrontier> {
  const starts = new Map<number, number[]>();
  for await (const { key } of store.list(keys.labels(stream))) {
    const place = labelPlace(key);
    if (place === null) continue;
    const listed = starts.get(place.partition);
    if (listed === undefined) starts.set(place.partition, [place.start]);
    else listed.push(place.start);
  }
  const partitions = [...starts.keys()].sort((a, b) => a - b);
  const ends: LabelFrontier = [];
  for (const partition of partitions) {
    let end = known.find((one) => one.partition === partition)?.end ?? 0;
    for await (const segment of follow(store, stream, partition, Number.POSITIVE_INFINITY, end)) end = segment.end;
    // Written since the listing or not: what is listed behind the end does not follow on it.
    const behind = starts.get(partition)!.find((start) => start > end);
    if (behind !== undefined) throw missing(stream, partition, end, `and the next ones at ${behind}`);
    ends.push({ partition, end });
  }
  return ends;
}

/** Archived labels up to a frontier: partition after partition, each in the order of its log. */
export async function* archivedLabels(
  store: Store,
  stream: string,
  frontier: LabelFrontier,
): AsyncGenerator<ImageLabel, void, undefined> {
  for (const { partition, end } of frontier) {
    for await (const { labels } of follow(store, stream, partition, end)) yield* labels;
  }
}

/**
 * The labels between two frontiers, where these are the last ones in the order of all of them; null where they are not, and all must be read anew:
 * partitions are heeded one after the other.
 */
export async function labelsSince(
  store: Store,
  stream: string,
  known: LabelFrontier,
  frontier: LabelFrontier,
): Promise<ImageLabel[] | null> {
  const endOf = (partition: number): number => known.find((one) => one.partition === partition)?.end ?? 0;
  const grown = frontier.filter(({ partition, end }) => end > endOf(partition));
  const [last] = grown;
  if (last === undefined) return [];
  if (grown.length > 1 || last !== frontier.at(-1)) return null;
  const labels: ImageLabel[] = [];
  const range = { partition: last.partition, from: endOf(last.partition), end: last.end };
  for await (const segment of labelSegments(store, stream, range)) labels.push(...segment.labels);
  return labels;
}

/** What the labels up to a frontier say of images. */
export async function labelledImages(store: Store, stream: string, frontier: LabelFrontier): Promise<LabelledImages> {
  const images = new LabelledImages();
  for await (const label of archivedLabels(store, stream, frontier)) images.take(label);
  return images;
}

/**
 * Appends labels to the log of a stream, without a topic: durable when it returns, and behind all that anybody appended
 * before. Returns the offsets [start, end) that they have. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT.
 */
export async function appendLabels(
  store: Store,
  stream: string,
  labels: readonly ImageLabel[],
): Promise<{ readonly partition: number; readonly start: number; readonly end: number }> {
  const partition = DIRECT_LABELS;
  for (let start = await archivedTo(store, stream, partition); ;) {
    const end = start + labels.length;
    const stands = await archiveLabels(store, { stream, partition, start, end }, labels);
    if (stands.by === "us") return { partition, start, end };
    start = stands.end;
  }
}

/** Offsets [start, end) of a partition of a stream's label log. */
export interface LabelPlace {
  readonly stream: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Archives what is said at offsets [start, end), created only if absent: `labels` are those of the offsets that have one, in
 * their order. Returns where the segment ends that now stands there, and whose it is. Throws E_SEGMENT_CORRUPT.
 */
export async function archiveLabels(
  store: Store,
  { stream, partition, start, end }: LabelPlace,
  labels: readonly ImageLabel[],
): Promise<{ readonly end: number; readonly by: "us" | "another" }> {
  const place = { schemaVersion: LABEL_SEGMENT_VERSION, stream, partition, start, end } as const;
  const bytes = encodeLabelSegment({ ...place, labels: [...labels] });
  for (;;) {
    const outcome = await store.putIfAbsent(keys.labelSegment(stream, partition, start), bytes);
    if (outcome === "created") return { end, by: "us" };
    const winner = await readSegment(store, stream, partition, start);
    if (winner !== null) return { end: winner.end, by: "another" };
  }
}

/** Where one partition's archived labels end. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT. */
export async function archivedTo(store: Store, stream: string, partition: number): Promise<number> {
  return (await labelFrontier(store, stream)).find((one) => one.partition === partition)?.end ?? 0;
}

/** The last segment of a partition that says anything; null where there is none. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT. */
export async function lastLabelSegment(store: Store, stream: string, partition: number): Promise<LabelSegment | null> {
  let last: LabelSegment | null = null;
  for await (const segment of follow(store, stream, partition, Number.POSITIVE_INFINITY))
    if (segment.labels.length > 0) last = segment;
  return last;
}

/** Segments of a partition over [from, end); both are boundaries of segments. Throws E_CHAIN_GAP, E_SEGMENT_CORRUPT. */
export function labelSegments(
  store: Store,
  stream: string,
  { partition, from, end }: { readonly partition: number; readonly from: number; readonly end: number },
): AsyncGenerator<LabelSegment, void, undefined> {
  return follow(store, stream, partition, end, from);
}

/** Segments over [from, until), as far as the log goes where `until` is infinite. */
async function* follow(
  store: Store,
  stream: string,
  partition: number,
  until: number,
  from = 0,
): AsyncGenerator<LabelSegment, void, undefined> {
  for (let at = from; at < until;) {
    const segment = await readSegment(store, stream, partition, at);
    if (segment === null) {
      if (until === Number.POSITIVE_INFINITY) return;
      throw missing(stream, partition, at, `although labels were archived up to ${until}`);
    }
    if (segment.end > until) {
      throw new SluiceError(
        "E_CHAIN_CONFLICT",
        `Expected a label segment of ${stream}/${partition} to end at ${until}, found [${at}, ${segment.end}). The frontier is of another store.`,
      );
    }
    yield segment;
    at = segment.end;
  }
}

async function readSegment(
  store: Store,
  stream: string,
  partition: number,
  start: number,
): Promise<LabelSegment | null> {
  const key = keys.labelSegment(stream, partition, start);
  const bytes = await getIfThere(store, key);
  if (bytes === null) return null;
  const segment = decodeLabelSegment(bytes, key);
  if (segment.stream === stream && segment.partition === partition && segment.start === start && segment.end > start)
    return segment;
  throw new SluiceError(
    "E_SEGMENT_CORRUPT",
    `Expected labels of ${stream}/${partition} from offset ${start} on at ${key}, found those of ${segment.stream}/${segment.partition} ` +
      `over [${segment.start}, ${segment.end}). The object was copied to a wrong key: restore it.`,
    { key },
  );
}

function missing(stream: string, partition: number, at: number, more: string): SluiceError {
  return new SluiceError(
    "E_CHAIN_GAP",
    `Expected labels of ${stream}/${partition} at offset ${at}, found none at ${keys.labelSegment(stream, partition, at)}, ${more}. Restore the object.`,
    { start: at },
  );
}
