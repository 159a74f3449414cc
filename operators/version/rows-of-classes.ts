import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ChosenClass } from "./choose-rows.js";
import type { ClassEntries, RowArchive } from "./chosen-rows.js";
import { spilledRows } from "./spilled-rows.js";
import { Spool } from "./spool.js";

/** How many rows are held at a time; other numbers than the defaults are for tests. */
export interface RowBounds {
  /** Rows that are given together, beside one class more; each takes some 300 bytes. Fewer are quicker, as far as the processor's cache goes. Default 2^14. */
  readonly groupRows?: number;
  /** Rows that wait for their group in memory; more go to a scratch file. Default 2^18. */
  readonly memoryRows?: number;
  /** Rows that one reading of the archive gives; each takes 20 bytes of memory, and some 200 of a scratch file. Default 2^24. */
  readonly passRows?: number;
}

const GROUP_ROWS = 2 ** 14;
const MEMORY_ROWS = 2 ** 18;
/** The paper's selection, 16,000 images of each of 1000 classes, is one pass. */
const PASS_ROWS = 2 ** 24;
/** What a row takes while it waits, with a long uri */
const ROW_BYTES = 256;

/**
 * The chosen classes with their archived rows, in order. What does not fit into memory passes through a scratch file of the store, as far as its disk has room;
 * without that the archive is read again for each pass of as many rows as fit.
 */
export async function* rowsOfClasses(
  archive: RowArchive,
  choose: () => Promise<readonly ChosenClass[]>,
  { groupRows = GROUP_ROWS, memoryRows = MEMORY_ROWS, passRows = PASS_ROWS }: RowBounds = {},
): AsyncGenerator<ChosenRows, void, undefined> {
  const chosen = await choose();
  const memoryBytes = memoryRows * ROW_BYTES;
  const room =
    rowsOf(chosen) <= memoryRows
      ? memoryRows
      : Math.min(passRows, await waitingRows(archive.archive.store, memoryBytes));
  const groups = inGroups(chosen, groupRows, ({ count }) => count);
  for (const pass of inGroups(groups, room, rowsOf)) yield* spilledRows(archive, pass, memoryBytes);
}

/** The archived rows of one list of entries. */
export async function rowsOfEntries(archive: RowArchive, entries: ClassEntries): Promise<ChosenRows> {
  const isByLabel = (row: number): boolean => entries.byLabel?.[row] === 1;
  const one = { class: entries.class, count: entries.rows.count, entries: () => entries, isByLabel };
  const rows = await spilledRows(archive, [[one]], Number.POSITIVE_INFINITY).next();
  return rows.value as ChosenRows;
}

function rowsOf(classes: readonly ChosenClass[]): number {
  return classes.reduce((sum, { count }) => sum + count, 0);
}

async function waitingRows(store: ConstructorParameters<typeof Spool>[0], memoryBytes: number): Promise<number> {
  const spool = new Spool(store, memoryBytes);
  try {
    return Math.floor((await spool.capacity()) / ROW_BYTES);
  } finally {
    await spool.close();
  }
}

/** Lists of consecutive items, each of at most `most` rows or of one item. */
function inGroups<T>(items: readonly T[], most: number, rowsIn: (item: T) => number): T[][] {
  const groups: T[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const item of items) {
    if (rows + rowsIn(item) > most) {
      groups.push([]);
      rows = 0;
    }
    groups.at(-1)!.push(item);
    rows += rowsIn(item);
  }
  return groups;
}
