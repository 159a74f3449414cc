import type { ChosenRows } from "../../schemas/chosen-rows.js";
import type { ChosenClass } from "./choose-rows.js";
import { chosenRows, type RowArchive } from "./chosen-rows.js";
import { spilledRows } from "./spilled-rows.js";
import { Spool } from "./spool.js";

/** How many rows are held at a time; other numbers than the defaults are for tests. */
export interface RowBounds {
  /** Rows in memory that are read straight from the archive; each takes some 800 bytes. Default 500,000. */
  readonly groupRows?: number;
  /** Rows in memory that come out of a scratch file, beside one class more: fewer are quicker, as far as the processor's cache goes. Default 2^17. */
  readonly spilledRows?: number;
  /** Rows that one reading of the archive gives; each takes 20 bytes of memory, and 256 of a scratch file. Default 2^24. */
  readonly passRows?: number;
}

const GROUP_ROWS = 500_000;
const SPILLED_ROWS = 2 ** 17;
/** The paper's selection, 16,000 images of each of 1000 classes, is one pass. */
const PASS_ROWS = 2 ** 24;
/** What a row takes of a scratch file, with a long uri */
const SPILLED_BYTES = 256;

/**
 * The chosen classes with their archived rows, in order. What does not fit into memory passes through a scratch file of the store, as far as its disk has room;
 * without that the archive is read again for each group of rows.
 */
export async function* rowsOfClasses(
  archive: RowArchive,
  choose: () => Promise<readonly ChosenClass[]>,
  { groupRows = GROUP_ROWS, spilledRows: spilled = SPILLED_ROWS, passRows = PASS_ROWS }: RowBounds = {},
): AsyncGenerator<ChosenRows, void, undefined> {
  const chosen = await choose();
  const room = rowsOf(chosen) <= groupRows ? 0 : Math.min(passRows, await scratchRows(archive.archive.store));
  if (room <= groupRows) {
    for (const group of inGroups(chosen, groupRows, ({ count }) => count))
      yield* await chosenRows(
        archive,
        group.map(({ entries }) => entries()),
      );
    return;
  }
  for (const pass of inGroups(
    inGroups(chosen, spilled, ({ count }) => count),
    room,
    rowsOf,
  ))
    yield* spilledRows(archive, pass);
}

function rowsOf(classes: readonly ChosenClass[]): number {
  return classes.reduce((sum, { count }) => sum + count, 0);
}

async function scratchRows(store: ConstructorParameters<typeof Spool>[0]): Promise<number> {
  const spool = new Spool(store, 0);
  try {
    return Math.floor((await spool.capacity()) / SPILLED_BYTES);
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
