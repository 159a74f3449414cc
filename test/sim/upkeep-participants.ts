import type { SheetRenderer } from "../../connectors/sheet/sheet.js";
import { collect } from "../../pipelines/collect.js";
import { erase } from "../../pipelines/erase/erase.js";
import { declare, readDeclarations } from "../../pipelines/open/declare.js";
import { streamSettingsOf } from "../../schemas/declaration.js";
import { clockOf, storeOf, type Place } from "./participants.js";
import type { SimProcess } from "./world.js";

/** What gc and the like go by: without a declaration nothing says what may go. */
export async function declareAll({ store, config, world }: Place): Promise<void> {
  const wanted = { settings: streamSettingsOf(config, null, []), datasets: config.datasets };
  const declared = await readDeclarations(store.memory, config.stream);
  await declare(store.memory, declared, wanted, { by: "sim", nowMs: world.nowMs });
}

/** Frees what nobody needs, as `sluice gc --yes` does. */
export async function collection(place: Place, process: SimProcess, graceMs: number): Promise<void> {
  const { world, config, bug } = place;
  const store = storeOf(place, process);
  let files = 0;
  const { packs, refused } = await collect({
    store: bug?.collectorStore?.(store) ?? store,
    stream: config.stream,
    dryRun: false,
    nowMs: clockOf(place, process),
    attempt: () => `${process.name}n${files++}`,
    graceMs,
  });
  // A pack that goes while it is looked at is left to the next one.
  for (const { message } of refused) world.log(`${process.name} refuses: ${message}`);
  world.log(
    `${process.name} freed ${packs.images} images, brought back ${packs.restored}, deleted ${packs.deleted} with ${packs.orphans} orphans`,
  );
}

export interface ErasureWanted {
  /** None: what was recorded before goes on */
  readonly digests: readonly string[];
  /** No scorer is at work */
  readonly isAlone: boolean;
}

/** Takes images out of everything, as `sluice erase --yes` does. */
export async function erasure(place: Place, process: SimProcess, wanted: ErasureWanted): Promise<void> {
  const { world, config, bug } = place;
  const store = storeOf(place, process);
  let files = 0;
  const { rows, packs, versions, waiting, refused } = await erase({
    store: bug?.eraserStore?.(store) ?? store,
    streams: [config.stream],
    by: null,
    reason: null,
    sheets: NO_SHEETS,
    dryRun: false,
    nowMs: clockOf(place, process),
    attempt: () => `${process.name}n${files++}`,
    ...wanted,
  });
  for (const { message } of refused) world.log(`${process.name} refuses: ${message}`);
  for (const one of waiting) {
    // Of attempts to publish that have claimed a number nobody knows whether they are dead before a version has it.
    if (!wanted.isAlone) continue;
    if (one.startsWith("versions/")) place.undecided.add(one);
    else world.violate("erased", `${process.name} waits for ${one}`);
  }
  world.log(
    `${process.name} erased ${rows} rows, ${packs.images} members, from ${versions.length} versions; ${waiting.length} wait`,
  );
}

/** Versions of a simulated world have no sheets. */
const NO_SHEETS: SheetRenderer = {
  width: 1,
  render: () => Promise.reject(new RangeError("a version of the simulation has a contact sheet")),
};
