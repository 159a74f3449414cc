import { shownNames } from "../schemas/class-names.js";
import type { Log, PartitionEnds } from "../connectors/log/log.js";
import type { Store } from "../connectors/store/store.js";
import { ranking } from "../operators/select/ranking.js";
import { newestSpan } from "../operators/select/windows.js";
import { readClaims } from "../operators/archive/chain-claims.js";
import { restoreSpan } from "../operators/state/checkpoint.js";
import { ArchiveReader } from "../operators/archive/archive-reader.js";
import { newestManifest } from "../operators/version/manifests.js";
import { readCards } from "../operators/archive/teacher-registry.js";
import type { ChainClaim } from "../schemas/chain-claim.js";
import type { Judgement } from "../operators/select/triggers.js";
import type { Config } from "../schemas/config.js";
import type { Dataset, Span } from "../schemas/dataset.js";
import { driftedMeasures, type Drift } from "../schemas/drift.js";
import { archivedOffsets, endIn, unreadOffsets, type Frontier } from "../schemas/frontier.js";
import { recordsLost, type LostRange } from "../schemas/lost-range.js";
import type { Manifest } from "../schemas/manifest.js";
import type { EngineInfo, RecordCounts } from "../schemas/segment.js";
import type { ClassFill } from "../schemas/progress.js";
import type { ModelCard } from "../schemas/model-card.js";
import { countLate } from "./versions/late.js";
import { countQuarantine } from "./quarantine/quarantine.js";
import { CutScheduler } from "./flow/cut-scheduler.js";
import { ArchiveFacts } from "./flow/archive-facts.js";

export type { HeldRecords } from "../connectors/log/embedded/partition-table.js";

export interface TeacherStatus {
  readonly digest: string;
  readonly name: string;
  /** Records in the log that its chains are to have and have not, all partitions; null where the log cannot tell */
  readonly waiting: number | null;
  readonly frontier: Frontier;
  /** What became of the records of these chains */
  readonly records: RecordCounts;
  /** Offsets of these chains that have no record: what compaction took, and marks of transactions */
  readonly emptyOffsets: number;
  /** Offsets below these chains that the teacher never read: the log had removed them, or nobody has replayed them */
  readonly unreadOffsets: number;
  /** Records that were refused and not retried, by error code: at least as many as `quarantine list` has, see countQuarantine */
  readonly quarantined: Readonly<Record<string, number>>;
  /** What was declared lost of its scores */
  readonly lost: readonly (Pick<LostRange, "partition" | "start" | "end" | "reason" | "author" | "declaredMs"> & {
    readonly records: number;
  })[];
  readonly datasets: readonly DatasetStatus[];
}

export interface DatasetStatus {
  readonly name: string;
  /** The newest window that has images */
  readonly span: Span;
  /** Of that window, as of the newest checkpoint */
  readonly fill: ClassFill;
  /** Whether there is one; without, nobody knows how full the classes are */
  readonly isCheckpointed: boolean;
  /** Classes with fewer than K, the emptiest first */
  readonly starving: readonly { readonly label: string; readonly count: number }[];
  /** Whether the dataset's trigger has fired since the newest version, and why, or why not */
  readonly trigger: Judgement;
  readonly records: Manifest["totals"]["records"];
  readonly engines: readonly EngineInfo[];
  /** Images that came too late for the newest version of the last window that has ended; null where none has one */
  readonly late: { readonly version: number; readonly images: number } | null;
  readonly newest: { readonly number: number; readonly id: string; readonly createdAt: string } | null;
  /** Of the newest version, where the dataset asks for it; `beyond`: the measures that are above its limits */
  readonly drift: (Drift & { readonly beyond: readonly ("psi" | "ks")[] }) | null;
  /** What is said of manifests that cannot be read, those behind the newest that can */
  readonly damaged: readonly string[];
}

/** What each teacher has scored, what waits, and how full the declared datasets are. Reads; never writes. */
export async function status(
  config: Config,
  store: Store,
  log: Pick<Log, "ends"> | null,
  nowMs: number,
): Promise<TeacherStatus[]> {
  const all: TeacherStatus[] = [];
  for (const [digest, card] of await readCards(store)) {
    const place = { teacher: digest, stream: config.stream };
    // A gap is `verify`'s and `rebuild`'s to report; status says what there is.
    const archive = new ArchiveReader(store, place);
    const frontier = await archive.frontier({ onGap: () => undefined });
    const quarantined = await countQuarantine(archive);
    const ends = log === null ? null : await log.ends(config.stream);
    const waiting = ends === null ? null : waitingOf(await readClaims(store, place), frontier, ends);
    const countsOf = new Map<string, readonly number[]>();
    const facts = await ArchiveFacts.restore(
      { store, ...place, card, datasets: config.datasets, countsOf: ({ name }) => countsOf.get(name) ?? [] },
      frontier,
    );
    await facts.countTo(frontier);
    const { counts: records } = await archive.totalsAt(frontier, () => undefined);
    const datasets: DatasetStatus[] = [];
    for (const dataset of config.datasets) {
      const options = { dataset, ...place, card };
      const span = newestSpan(dataset.window, facts.coverageOf(dataset).lastMs ?? 0);
      const state = await restoreSpan(store, options, span, frontier);
      const counts = [...state.topk.counts()];
      countsOf.set(dataset.name, counts);
      const names = shownNames(ranking(dataset.select, card).labels);
      const { quota } = state;
      const starving = counts
        .map((count, index) => ({ label: names[index]!, count, short: count < quota[index]! }))
        .filter(({ short }) => short)
        .map(({ label, count }) => ({ label, count }))
        .sort((a, b) => a.count - b.count);
      const damaged: string[] = [];
      const newest = await newestManifest(store, dataset.name, ({ message }) => damaged.push(message));
      datasets.push({
        name: dataset.name,
        fill: { full: counts.length - starving.length, starving: starving.length, classes: counts.length },
        isCheckpointed: facts.isCheckpointed(dataset),
        starving,
        ...(await judgeTrigger(store, card, facts, dataset, frontier, nowMs)),
        span,
        records: state.coverage.records,
        engines: state.coverage.value.engines,
        newest:
          newest === null ? null : { number: newest.number, id: newest.id, createdAt: newest.provenance.createdAt },
        drift: driftSeen(dataset, newest),
        damaged,
      });
    }
    const lost = (await archive.lostRanges()).map((range) => {
      const { partition, start, end, reason, author, declaredMs } = range;
      return { partition, start, end, records: recordsLost(range), reason, author, declaredMs };
    });
    const emptyOffsets = archivedOffsets(frontier) - records.in;
    const account = { records, emptyOffsets, unreadOffsets: unreadOffsets(frontier) };
    all.push({ digest, name: card.name, waiting, frontier, ...account, quarantined, lost, datasets });
  }
  return all;
}

function driftSeen({ drift: limits }: Dataset, newest: Manifest | null): DatasetStatus["drift"] {
  const drift = newest?.provenance.drift;
  if (limits === undefined || drift === undefined) return null;
  return { ...drift, beyond: driftedMeasures(drift, limits) };
}

/** Records of the log that chains are to have and have not: of live chains up to the log's end, of replays up to theirs. */
function waitingOf(claimed: readonly ChainClaim[], frontier: Frontier, ends: readonly PartitionEnds[]): number {
  const isLive = claimed.some(({ end }) => end === null);
  const live = new Set(claimed.filter(({ end }) => end === null).map(({ partition }) => partition));
  // A partition that was added: the live scorers have not taken it up yet.
  const added = ends.reduce(
    (sum, { start, end }, partition) => sum + (isLive && !live.has(partition) ? end - start : 0),
    0,
  );
  return claimed.reduce((sum, claim) => {
    const until = claim.end ?? ends[claim.partition]?.end ?? 0;
    return sum + Math.max(0, until - endIn(frontier, claim));
  }, added);
}

/** What a dataset's trigger says of the archive as it is, and what came too late for what it has made. */
async function judgeTrigger(
  store: Store,
  card: ModelCard,
  facts: ArchiveFacts,
  dataset: Dataset,
  frontier: Frontier,
  nowMs: number,
): Promise<Pick<DatasetStatus, "trigger" | "late">> {
  const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs, datasets: [dataset] });
  const watermarkMs = facts.coverageOf(dataset).lastMs;
  for (const { partition } of frontier) scheduler.observe({ partition, watermarkMs }, nowMs);
  const { judgement } = scheduler.judge(nowMs).find((one) => one.dataset.name === dataset.name)!;
  const ended = watermarkMs === null ? null : scheduler.newestEnded(dataset, watermarkMs);
  const late = ended === null ? null : { version: ended.number, images: await countLate(store, ended, frontier) };
  return { trigger: judgement, late };
}
