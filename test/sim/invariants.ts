import { readIndex } from "../../pipelines/versions/index-reader.js";
import { cut } from "../../operators/state/cut.js";
import { decodeManifest } from "../../operators/version/manifests.js";
import { versionId } from "../../operators/version/publish.js";
import { paneOf, paneSpan } from "../../operators/select/windows.js";
import { SeededRandom } from "../../operators/training/seeded-random.js";
import { canonicalJson, sha256Hex } from "../../schemas/canonical.js";
import { messageOf, type ErrorCode } from "../../schemas/errors.js";
import { canonicalSelection, type Dataset, type Span } from "../../schemas/dataset.js";
import { atOrBelow, endIn, type Frontier } from "../../schemas/frontier.js";
import { DIRECT_LABELS, labelsAtOrBelow } from "../../schemas/image-label.js";
import { VersionIdHash, type Manifest } from "../../schemas/manifest.js";
import { BYTES } from "../../schemas/scored-batch.js";
import type { StoredRecord } from "../../schemas/image-record.js";
import {
  type ArchivedChain,
  type ArchivedSegment,
  liveOrigin,
  placedBy,
  placedRows,
  promisedRanks,
  readAllClaims,
  readArchive,
  readLabels,
  segmentsBelow,
  sortEverything,
  standing,
} from "./model.js";
import { hasMember, liesStill } from "./pack-model.js";
import { TEACHER, type Place } from "./participants.js";
import { checkCheckpoints } from "./checkpoint-rows.js";
import { checkRuns } from "./run-rows.js";
import { checkErased, packsByDigest, standingManifest } from "./upkeep-rows.js";
import { CARD, CLASSES, imageOf, logitsOf, OTHER_CARD } from "./sim-teacher.js";

/** What the simulation itself knows: what was appended, what retention took, which checkpoints there ever were. */
export interface Witness {
  /** Records of each partition, by offset */
  readonly appended: readonly (readonly StoredRecord[])[];
  /** Images are numbered below this */
  readonly images: number;
  /** Those that a retry appended: `partition/offset` */
  readonly retries: ReadonlySet<string>;
  /** Offsets below these have been removed from each partition's log */
  readonly eaten: readonly number[];
  /** Each segment's bytes as first written, by key */
  readonly originals: ReadonlyMap<string, Uint8Array>;
  /** Frontiers of durable checkpoints, by `parameters:records covered` */
  readonly checkpoints: ReadonlyMap<string, readonly Frontier[]>;
  /** Bytes of each manifest as first written */
  readonly manifests: ReadonlyMap<string, string>;
  /** Where each partition's live chain must have come to, null where the run ended without draining */
  readonly drainedTo: readonly number[] | null;
  /** Somebody has freed what nobody needed: of older frontiers bytes may be gone */
  readonly collected: boolean;
}

/** Checks a run's end state against a model that knows nothing but archived rows. */
export async function checkInvariants(place: Place, witness: Witness, random: SeededRandom): Promise<void> {
  const { world, store } = place;
  const chains = readArchive(witness.originals);
  const own = chains.filter(({ teacher }) => teacher === TEACHER);
  const live = own.filter(({ partition, origin }) => {
    return liveOrigin(store.objects, { ...place.config, teacher: TEACHER }, partition) === origin;
  });
  checkClaims(place, witness, chains);
  for (const chain of chains) checkChain(place, witness, chain);
  await checkErased(place, witness.images, chains);
  checkScores(place, witness.images, chains);
  if (witness.drainedTo !== null) checkDrained(place, live, witness.drainedTo);
  await checkRuns(place, chains);
  if (world.violations.length > 0) return;
  for (const [key, digest] of witness.manifests) {
    const bytes = store.objects.get(key);
    if (bytes === undefined || sha256Hex(bytes) !== digest) {
      world.violate("published", `${key} is not what was published first`);
      continue;
    }
    const manifest = standingManifest(place, decodeManifest(bytes, key));
    checkFiles(place, manifest);
    if (world.violations.length > 0) return;
    await checkVersion(place, witness, chains, manifest);
  }
  checkLabels(place);
  checkAutomatic(place, [...witness.manifests.keys()]);
  checkNumbers(place, [...witness.manifests.keys()]);
  // What is needed after a collection is needed of all of the teacher's chains together.
  checkDurable(place, witness, live);
  if (world.violations.length > 0) return;
  checkPromised(place, witness, witness.collected ? own : live, random);
  if (world.violations.length === 0) await checkCheckpoints(place, own, random);
}

/** What was answered to somebody who labelled images is in the log, at the offsets that were said. */
function checkLabels({ world, store, said }: Place): void {
  const segments = readLabels(store.objects);
  const direct = segments.filter(({ partition }) => partition === DIRECT_LABELS).flatMap(({ labels }) => labels);
  for (const { start, labels } of said) {
    // Those of the topic are looked at with the topic.
    if (start === null) continue;
    const found = direct.slice(start, start + labels.length);
    if (canonicalJson(found) !== canonicalJson([...labels])) {
      world.violate("labels", `expected ${JSON.stringify(labels)} at ${start}, found ${JSON.stringify(found)}`);
    }
  }
}

/** A teacher's chains lie where its claims say, and no two of them share an offset; replays that have ended are whole. */
function checkClaims(
  { world, store, config, replayed }: Place,
  { drainedTo }: Witness,
  chains: readonly ArchivedChain[],
): void {
  for (const teacher of new Set(chains.map((chain) => chain.teacher))) {
    const claims = readAllClaims(store.objects, { teacher, stream: config.stream });
    for (const [at, { partition, origin, end }] of claims.entries()) {
      const reach = end ?? Number.POSITIVE_INFINITY;
      const other = claims.find(
        (one, index) =>
          index !== at &&
          one.partition === partition &&
          one.origin < reach &&
          (one.end ?? Number.POSITIVE_INFINITY) > origin,
      );
      if (other !== undefined) world.violate("claims", `${partition}@${origin} and @${other.origin} share offsets`);
    }
    for (const chain of chains.filter((one) => one.teacher === teacher)) {
      const claim = claims.find(({ partition, origin }) => partition === chain.partition && origin === chain.origin);
      const name = `${chain.partition}@${chain.origin}`;
      if (claim === undefined) world.violate("claims", `${name} was archived and never claimed`);
      else if (claim.end !== null && endOf(chain) > claim.end) world.violate("claims", `${name} goes beyond its claim`);
    }
    if (drainedTo === null || !replayed.has(teacher)) continue;
    for (const { partition, origin, end } of claims) {
      const chain = chains.find(
        (one) => one.teacher === teacher && one.partition === partition && one.origin === origin,
      );
      const found = chain === undefined ? origin : endOf(chain);
      if (end !== null && found < end)
        world.violate("progress", `replay ${partition}@${origin} is at ${found} of ${end}`);
    }
  }
}

/** What an image or a record of a scenario may be refused for: its own fault only */
const DESERVED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_IMAGE_CORRUPT",
  "E_IMAGE_SCORES",
  "E_IMAGE_VANISHED",
  "E_RECORD_FUTURE",
  "E_RECORD_SCHEMA",
]);

function checkChain(
  { world, erased }: Place,
  { appended, eaten, retries }: Witness,
  { partition, origin, segments }: ArchivedChain,
): void {
  const name = `${partition}@${origin}`;
  let at = origin;
  let watermarkMs: number | null = null;
  const archived = new Set<number>();
  for (const { header, rows, key } of segments) {
    if (header.start !== at) {
      world.violate("chain", `${name}: expected a segment at ${at}, found ${header.start}`);
      return;
    }
    at = header.end;
    const { counts } = header;
    const copied = rows.filter((row) => row.copied).length;
    const found = rows.length + header.rejected.length + counts.lost;
    if (counts.in !== found || counts.copied !== copied || counts.scored !== rows.length - copied) {
      world.violate("counts", `${key}: ${JSON.stringify(counts)} for ${rows.length} rows, ${copied} copied`);
    }
    if (watermarkMs !== null && (header.watermarkMs === null || header.watermarkMs < watermarkMs)) {
      world.violate("watermark", `${key}: ${String(header.watermarkMs)} after ${watermarkMs}`);
    }
    watermarkMs = header.watermarkMs;
    for (const { code, offset } of header.rejected) {
      if (!DESERVED.has(code) && !(code === "E_IMAGE_ERASED" && erased.size > 0))
        world.violate("quarantine", `${name}: ${offset} is refused with ${code}`);
    }
    for (const { offset } of [...rows, ...header.rejected]) {
      if (offset < header.start || offset >= header.end) world.violate("chain", `${key}: holds offset ${offset}`);
      if (archived.has(offset)) world.violate("once", `${name}: offset ${offset} is archived twice`);
      archived.add(offset);
    }
    if (counts.lost === 0) continue;
    if (counts.lost !== header.end - header.start) world.violate("counts", `${key}: ${counts.lost} lost of its range`);
    if (header.end > eaten[partition]!)
      world.violate("lost", `${key}: says that ${header.end - 1} is lost, which is not`);
    for (let offset = header.start; offset < header.end; offset++) archived.add(offset);
  }
  const known = new Set(appended[partition]!.map(({ offset }) => offset));
  for (const offset of known) {
    if (offset >= origin && offset < at && !archived.has(offset)) {
      world.violate("once", `${name}: record ${offset} is in no segment`);
    }
  }
  for (const { offset } of segments.flatMap((segment) => segment.rows)) {
    if (!known.has(offset)) world.violate("once", `${name}: a row of offset ${offset}, which nobody appended`);
  }
  checkRetries(world, name, segments, (offset) => retries.has(`${partition}/${offset}`));
}

/** A record that takes up another says so, and has the other's event time. */
function checkRetries(
  world: Place["world"],
  name: string,
  segments: readonly ArchivedSegment[],
  isRetry: (offset: number) => boolean,
): void {
  const first = new Map<number, number>();
  for (const { header, rows, key } of segments) {
    for (const row of [...rows, ...header.rejected]) {
      const of = row.retryOf ?? -1;
      if (isRetry(row.offset) && of < 0) {
        world.violate("retry", `${name}: ${row.offset} does not say that it retries a record`);
      }
      const eventTimeMs = first.get(of);
      if (eventTimeMs !== undefined && eventTimeMs !== row.eventTimeMs) {
        world.violate("retry", `${name}: ${row.offset} has another event time than ${of}, which it retries`);
      }
      if ("copied" in row && of >= 0 && !header.retried.includes(of)) {
        world.violate("retry", `${key}: its header does not list ${of}, which ${row.offset} retries`);
      }
    }
    for (const { offset, eventTimeMs } of header.rejected) first.set(offset, eventTimeMs);
  }
}

/** Greater than what last bits come to, less than the step between two logits */
const TOLERANCE = 1e-3;

/** Whichever process scored a row or copied its scores, they are the scores of the row's own image. */
function checkScores({ world, seed }: Place, images: number, chains: readonly ArchivedChain[]): void {
  const expected = new Map<string, readonly number[]>();
  for (let image = 0; image < images; image++) {
    const logits = logitsOf(seed, image);
    const logSumExp = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expected.set(
      sha256Hex(imageOf(image)),
      logits.map((logit) => logit - logSumExp),
    );
  }
  for (const row of chains.flatMap(({ segments }) => segments.flatMap((segment) => segment.rows))) {
    const own = expected.get(row.sha256);
    if (own === undefined || row.classes.some((index, at) => !(Math.abs(own[index]! - row.keys[at]!) < TOLERANCE))) {
      world.violate("scores", `the scores at ${row.partition}/${row.offset} are not those of its image`);
    }
  }
}

function checkDrained({ world, store, config }: Place, live: readonly ArchivedChain[], ends: readonly number[]): void {
  for (const [partition, end] of ends.entries()) {
    const chain = live.find((one) => one.partition === partition);
    const origin = liveOrigin(store.objects, { ...config, teacher: TEACHER }, partition);
    const found = chain?.segments.at(-1)?.header.end ?? origin ?? 0;
    if (found < end) world.violate("progress", `partition ${partition} is archived up to ${found} of ${end}`);
  }
}

function checkFiles({ world, store }: Place, { number, dataset, files }: Manifest): void {
  for (const { key, sha256 } of files) {
    const bytes = store.objects.get(key);
    if (bytes === undefined || sha256Hex(bytes) !== sha256) {
      world.violate("published", `version ${dataset} ${number}: ${key} is ${bytes === undefined ? "gone" : "changed"}`);
    }
  }
}

async function checkVersion(
  place: Place,
  witness: Witness,
  chains: readonly ArchivedChain[],
  manifest: Manifest,
): Promise<void> {
  const { world, store, config } = place;
  const { number, span, provenance } = manifest;
  const { frontier } = provenance;
  const name = `version ${manifest.dataset} ${number}`;
  const dataset = config.datasets.find((one) => one.name === manifest.dataset)!;
  const segments = segmentsBelow(
    chains.filter((chain) => chain.teacher === manifest.teacher.digest),
    frontier,
  );
  const isStanding = standing(readLabels(store.objects), provenance.labels, CARD.labels);
  const k = Number(dataset.select.k);
  const said = placedBy(readLabels(store.objects), provenance.labels, CARD.labels);
  const placed = placedRows(segments, span, dataset, CLASSES, said);
  const others = sortEverything(segments, dataset, span, Number.POSITIVE_INFINITY, CLASSES, (sha256, index) => {
    return isStanding(sha256, index) && said(sha256) !== index;
  });
  const expected = others.map((rows, index) => [...placed[index]!, ...rows].slice(0, k));
  const wanted = expected.flatMap((rows, index) => rows.map((row, at) => ({ class: index, rank: at + 1, ...row })));
  const hash = new VersionIdHash({
    numbered: canonicalSelection(dataset.select),
    span,
    teacher: manifest.teacher.digest,
  });
  let at = 0;
  // Bytes are promised down to K + R of all; rows that took the place of retracted ones may come from further down.
  const kept = sortEverything(segments, dataset, span, promisedRanks(dataset), CLASSES);
  const promised = !witness.collected && isPromised(witness, segments, frontier, dataset, span);
  for await (const row of readIndex(store.memory, manifest)) {
    const model = wanted[at++];
    const { class: index, rank, sha256, key, partition, offset } = row;
    const found = { class: index, rank, sha256, key, partition, offset };
    if (model === undefined || JSON.stringify(found) !== JSON.stringify(ordered(model))) {
      world.violate("rows", `${name}: found ${JSON.stringify(found)}, expected ${JSON.stringify(model ?? null)}`);
      return;
    }
    hash.row(index, rank, Buffer.from(sha256, "hex"), key, row.by);
    if (
      promised &&
      row.bytes === "absent" &&
      !place.erased.has(sha256) &&
      kept[index]!.some((one) => one.sha256 === sha256)
    ) {
      world.violate("bytes", `${name}: class ${index} rank ${rank} has no bytes`);
    }
  }
  if (at !== wanted.length) world.violate("rows", `${name}: ${at} rows, expected ${wanted.length}`);
  if (hash.digest() !== manifest.id) world.violate("id", `${name}: its id is not that of its rows`);
  const counts = { in: 0, scored: 0, copied: 0, quarantined: 0, lost: 0 };
  for (const { header } of segments) for (const kind of COUNTS) counts[kind] += header.counts[kind];
  const { records } = manifest.totals;
  if (COUNTS.some((kind) => counts[kind] !== records[kind])) {
    world.violate("counts", `${name}: ${JSON.stringify(records)}, the archive has ${JSON.stringify(counts)}`);
  }
  const again = {
    store: store.memory,
    dataset,
    card: manifest.teacher.digest === TEACHER ? CARD : OTHER_CARD,
    stream: config.stream,
    frontier,
    span,
    labels: provenance.labels,
    trigger: "again",
  };
  try {
    const id = await versionId(await cut(again));
    if (id !== manifest.id) world.violate("id", `${name}: cut again it is ${id.slice(0, 8)}`);
  } catch (error) {
    world.violate("id", `${name} cannot be cut again: ${messageOf(error)}`);
  }
}

const COUNTS = ["in", "scored", "copied", "quarantined", "lost"] as const;

function ordered(row: {
  class: number;
  rank: number;
  sha256: string;
  key: number | null;
  partition: number;
  offset: number;
}) {
  return {
    class: row.class,
    rank: row.rank,
    sha256: row.sha256,
    key: row.key,
    partition: row.partition,
    offset: row.offset,
  };
}

/** Whether a frontier is at or above every checkpoint by whose thresholds bytes were left out below it. */
function guaranteed(witness: Witness, segments: readonly ArchivedSegment[], frontier: Frontier): boolean {
  return segments.every(({ header }) =>
    header.keepers.every(({ parameters, thresholdsAt }) => {
      if (thresholdsAt === null) return true;
      return (witness.checkpoints.get(`${parameters}:${thresholdsAt}`) ?? []).every((at) => atOrBelow(at, frontier));
    }),
  );
}

function isPromised(
  witness: Witness,
  segments: readonly ArchivedSegment[],
  frontier: Frontier,
  { window }: Dataset,
  span: Span,
): boolean {
  if (segments.some(({ header }) => header.lostReason === null && header.keepers.length === 0)) return false;
  const aligned = (timeMs: number | null): boolean =>
    timeMs === null || paneSpan(window, paneOf(window, timeMs) ?? 0).startMs === timeMs;
  return aligned(span.startMs) && aligned(span.endMs) && guaranteed(witness, segments, frontier);
}

/** A dataset's versions are numbered from 1, each number once, and each names the one before as its parent. */
function checkNumbers({ world, store, config }: Place, manifests: readonly string[]): void {
  const all = manifests.map((key) => decodeManifest(store.objects.get(key)!, key));
  for (const { name } of config.datasets) {
    const own = all.filter(({ dataset }) => dataset === name).sort((a, b) => a.number - b.number);
    own.forEach(({ number, provenance: { parent } }, at) => {
      if (number !== at + 1) world.violate("numbers", `expected version ${name} ${at + 1}, found ${number}`);
      const before = own[at - 1];
      if (parent?.id !== before?.id)
        world.violate("numbers", `version ${name} ${number} has another parent than ${at}`);
    });
  }
}

/** Frontiers of a dataset's automatic versions never regress. */
function checkAutomatic({ world, store }: Place, manifests: readonly string[]): void {
  const all = manifests.map((key) => decodeManifest(store.objects.get(key)!, key));
  for (const manifest of all) {
    const { trigger, parent, frontier, labels } = manifest.provenance;
    const before = all.find((one) => one.dataset === manifest.dataset && one.number === parent?.number);
    // Of another teacher's scores the frontier is another one.
    if (trigger === "hand" || before?.teacher.digest !== manifest.teacher.digest) continue;
    if (!atOrBelow(before.provenance.frontier, frontier) || !labelsAtOrBelow(before.provenance.labels, labels)) {
      world.violate("automatic", `version ${manifest.dataset} ${manifest.number} is cut below its parent`);
    }
  }
}

/** Frontiers that are tried beside those that versions were cut at */
const FRONTIERS = 60;

/** Live scorers leave out bytes by durable checkpoints alone; a replay's states, which write none, stand on what it has archived itself. */
function checkDurable({ world }: Place, witness: Witness, live: readonly ArchivedChain[]): void {
  for (const { key, header } of live.flatMap(({ segments }) => segments)) {
    for (const { parameters, thresholdsAt } of header.keepers) {
      if (thresholdsAt !== null && !witness.checkpoints.has(`${parameters}:${thresholdsAt}`)) {
        world.violate("bytes", `${key}: its thresholds name a checkpoint that never was durable (${thresholdsAt})`);
      }
    }
  }
}

/** Whatever frontier somebody may cut at, the bytes of the best K + R of each pane are there. */
function checkPromised(place: Place, witness: Witness, live: readonly ArchivedChain[], random: SeededRandom): void {
  const { world, store, config, erased } = place;
  const isUnkept = ({ header }: ArchivedSegment): boolean => header.lostReason === null && header.keepers.length === 0;
  if (witness.collected && live.some(({ segments }) => segments.some(isUnkept))) return;
  const packs = packsByDigest(live.flatMap(({ segments }) => segments.flatMap(({ rows }) => rows)));
  const kept = new Map<string, boolean>();
  const isKept = (sha256: string): boolean => {
    let found = kept.get(sha256);
    if (found === undefined) {
      found = [...(packs.get(sha256) ?? [])].some((pack) => hasMember(store.objects, pack, sha256));
      kept.set(sha256, found);
    }
    return found;
  };
  const tried = witness.collected ? [] : random.shuffle(lowestFrontiers(witness, live)).slice(0, FRONTIERS);
  for (const frontier of [
    live.map((chain) => ({ partition: chain.partition, origin: chain.origin, end: endOf(chain) })),
    ...tried,
  ]) {
    const segments = segmentsBelow(live, frontier);
    if (!guaranteed(witness, segments, frontier)) continue;
    for (const dataset of config.datasets) {
      for (const span of panes(dataset, segments)) {
        const best = sortEverything(segments, dataset, span, promisedRanks(dataset), CLASSES);
        for (const [index, rows] of best.entries()) {
          for (const [rank, { sha256, partition, offset }] of rows.entries()) {
            if (isKept(sha256) || erased.has(sha256)) continue;
            world.violate(
              "bytes",
              `${dataset.name}: no bytes of ${partition}/${offset}, rank ${rank + 1} of class ${index} at ${JSON.stringify(frontier)}`,
            );
            return;
          }
        }
      }
    }
  }
}

const endOf = ({ origin, segments }: ArchivedChain): number => segments.at(-1)?.header.end ?? origin;

/** For each segment the lowest frontier that holds it and the checkpoints whose thresholds it was archived by. */
function lowestFrontiers(witness: Witness, live: readonly ArchivedChain[]): Frontier[] {
  return live.flatMap((holding) =>
    holding.segments.map(({ header }) => {
      const used = header.keepers.flatMap(({ parameters, thresholdsAt }) =>
        thresholdsAt === null ? [] : (witness.checkpoints.get(`${parameters}:${thresholdsAt}`) ?? []),
      );
      return live.map((chain) => ({
        partition: chain.partition,
        origin: chain.origin,
        end: Math.max(chain === holding ? header.end : chain.origin, ...used.map((frontier) => endIn(frontier, chain))),
      }));
    }),
  );
}

function panes({ window }: Dataset, segments: readonly ArchivedSegment[]): Span[] {
  const numbers = new Set(segments.flatMap(({ rows }) => rows.flatMap((row) => paneOf(window, row.eventTimeMs) ?? [])));
  return [...numbers].map((pane) => paneSpan(window, pane));
}

/** The bytes of a segment's rows must be there before the segment is. */
export function checkPacks({ world, store, erased }: Place, { key, rows }: ArchivedSegment): void {
  for (const { sha256, bytes, pack, offset } of rows) {
    if ((bytes === BYTES.kept) !== (pack !== null)) world.violate("bytes", `${key}: ${offset} names the pack ${pack}`);
    // An erased image's leave at once, and the row's name of them with the next erasure.
    if (pack === null || erased.has(sha256) || hasMember(store.objects, pack, sha256)) continue;
    // One that was kept before may have been dropped since its scorer looked: it is not deleted before that scorer's pin is over.
    if (!liesStill(store.objects, pack, sha256)) {
      world.violate("bytes", `${key}: says that the bytes of ${offset} are kept, which they are not`);
    }
  }
}
