import type { RecordCounts } from "../../schemas/segment.js";
import { notABoundary } from "./chain-faults.js";
import type { ChainReader, Gap } from "./chain-reader.js";
import { NOTHING_QUARANTINED, QuarantineTally } from "./quarantine-tally.js";
import { NO_RECORDS, sumOfCounts } from "./run-index.js";

/** What the archive says of a chain up to one boundary of its segments. */
export interface ChainTotals {
  readonly counts: RecordCounts;
  /** See a segment's header */
  readonly watermarkMs: number | null;
}

/** See `ChainReader.totalsAt`. Runs that were written before a range was declared lost count its rows: behind it each segment is counted. */
export async function totalsOfChain(
  reader: ChainReader,
  end: number,
  onGap?: (gap: Gap) => void,
): Promise<ChainTotals> {
  const { first } = await reader.runs.losses();
  if (first === null || end <= first.start) return totalsByRuns(reader, end, onGap);
  const { counts, watermarkMs } = await totalsByRuns(reader, first.start, onGap);
  return withHeaders(reader, { counts, watermarkMs }, { from: first.start, end }, onGap);
}

async function totalsByRuns(reader: ChainReader, end: number, onGap?: (gap: Gap) => void): Promise<ChainTotals> {
  const { chain, runs } = reader;
  const runsEnd = await runs.end();
  const totals: ChainTotals = { counts: NO_RECORDS, watermarkMs: null };
  if (end <= chain.origin) return totals;
  if (end < runsEnd) {
    const index = await runs.indexAt(end - 1);
    const last = index.holding(end - 1);
    if (index.endOf(last) !== end) throw notABoundary(chain, end, index.startOf(last), index.endOf(last));
    return { counts: index.totalsTo(last + 1), watermarkMs: index.watermarkOf(last) };
  }
  const last = await runs.lastHead();
  const before =
    last === null ? totals : { counts: sumOfCounts(last.before, last.counts), watermarkMs: last.watermarkMs };
  return withHeaders(reader, before, { from: Math.max(chain.origin, runsEnd), end }, onGap);
}

async function withHeaders(
  reader: ChainReader,
  before: ChainTotals,
  { from, end }: { readonly from: number; readonly end: number },
  onGap?: (gap: Gap) => void,
): Promise<ChainTotals> {
  let { counts, watermarkMs } = before;
  for await (const header of reader.headers(from, end, onGap)) {
    if (header.end > end) throw notABoundary(reader.chain, end, header.start, header.end);
    counts = sumOfCounts(counts, header.counts);
    ({ watermarkMs } = header);
  }
  return { counts, watermarkMs };
}

/** What is in quarantine below the runs' end, `from`; to be given the headers from there on. */
export async function quarantineOfRuns(
  reader: ChainReader,
): Promise<{ readonly tally: QuarantineTally; readonly from: number }> {
  const { chain, runs } = reader;
  const { origin } = chain;
  const from = await runs.end();
  const { first } = await runs.losses();
  if (first !== null && first.start < from) {
    const tally = new QuarantineTally({ origin, start: origin, before: NOTHING_QUARANTINED }, () =>
      reader.headers(origin, origin),
    );
    for await (const header of reader.headers(origin, from, () => undefined)) tally.take(header);
    return { tally, from };
  }
  const last = await runs.lastHead();
  const start = last?.end ?? origin;
  const headers = async function* (low: number, until: number) {
    yield* reader.headers(await reader.boundaryAtOrBelow(low), until, () => undefined);
  };
  const tally = new QuarantineTally({ origin, start, before: last?.quarantine ?? NOTHING_QUARANTINED }, headers);
  return { tally, from: start };
}
