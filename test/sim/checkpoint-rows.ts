import { cut } from "../../operators/state/cut.js";
import { parametersDigest } from "../../operators/select/numbered-selection.js";
import { paneOf, paneSpan } from "../../operators/select/windows.js";
import type { SeededRandom } from "../../operators/training/seeded-random.js";
import { messageOf } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { segmentsBelow, sortEverything, type ArchivedChain } from "./model.js";
import { TEACHER, type Place } from "./participants.js";
import { CARD, CLASSES } from "./sim-teacher.js";

/** Checkpoints that are looked at, of all that are there */
const MOST = 6;

interface CheckpointText {
  readonly checkpoint: { readonly parameters: string; readonly coverage: { readonly frontier: Frontier } };
}

/** A cut at a checkpoint's own frontier, which starts from it, has the rows of sorting everything below. */
export async function checkCheckpoints(
  place: Place,
  chains: readonly ArchivedChain[],
  random: SeededRandom,
): Promise<void> {
  const { world, store, config } = place;
  const all = [...store.objects.keys()].filter((key) => key.startsWith("checkpoints/") && key.includes("/at/"));
  for (const key of random.shuffle(all).slice(0, MOST)) {
    const checkpoint = readCheckpoint(store.objects.get(key)!);
    const dataset = config.datasets.find(
      (one) => parametersDigest(one, TEACHER, config.stream, CARD) === checkpoint?.parameters,
    );
    // Cut short, or of the other teacher
    if (checkpoint === null || dataset === undefined) continue;
    const { frontier } = checkpoint.coverage;
    const segments = segmentsBelow(chains, frontier);
    const times = segments.flatMap(({ rows }) => rows.map(({ eventTimeMs }) => eventTimeMs));
    if (times.length === 0) continue;
    const span = paneSpan(dataset.window, paneOf(dataset.window, random.pick(times)) ?? 0);
    const expected = sortEverything(segments, dataset, span, Number(dataset.select.k), CLASSES);
    const wanted = { store: store.memory, card: CARD, stream: config.stream, labels: [], trigger: "look" };
    try {
      let index = 0;
      for await (const rows of (await cut({ ...wanted, dataset, frontier, span })).classes) {
        const found = Array.from(
          { length: rows.count },
          (_, row) =>
            `${Buffer.from(rows.digest.subarray(32 * row, 32 * row + 32)).toString("hex")} ${rows.keys[row]!}`,
        );
        const best = expected[index]!.map(({ sha256, key: rankKey }) => `${sha256} ${rankKey}`);
        if (found.join() !== best.join()) {
          world.violate("checkpoints", `${key}: class ${index} has ${found.join()}, expected ${best.join()}`);
          return;
        }
        index++;
      }
    } catch (error) {
      world.violate("checkpoints", `${key} cannot be cut from: ${messageOf(error)}`);
      return;
    }
  }
}

function readCheckpoint(bytes: Uint8Array): CheckpointText["checkpoint"] | null {
  try {
    return (JSON.parse(Buffer.from(bytes).toString()) as CheckpointText).checkpoint;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
