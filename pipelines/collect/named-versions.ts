import type { Store } from "../../connectors/store/store.js";
import { findManifest, versionNumbers } from "../../operators/version/manifests.js";
import { readTags } from "../../operators/version/version-tags.js";
import { keys, loopPlace, modelTrainingPlace } from "../../schemas/keys.js";
import { decodeLoopStep } from "../../schemas/loop-step.js";
import { decodeRecord, trainingRecordSchema } from "../../schemas/model-record.js";

/**
 * Versions of a dataset that something names, and what: a tag, a generation of a loop, a model that was trained on one. They stay, whatever a rule says.
 * Throws E_STORE_CORRUPT where one of these cannot be read: nobody knows then what it names.
 */
export async function namedVersions(store: Store, dataset: string): Promise<ReadonlyMap<number, string>> {
  const named = new Map<number, string>();
  for await (const { key } of store.list(keys.models)) {
    const model = modelTrainingPlace(key);
    if (model === null) continue;
    const { inputs, name } = decodeRecord(trainingRecordSchema, await store.get(key), key);
    if (inputs.version?.dataset !== dataset) continue;
    // By its id: a model that came from elsewhere knows another number.
    for (const number of await numbersOf(store, dataset, inputs.version.id)) named.set(number, `model ${name}`);
  }
  for await (const { key } of store.list(keys.loops(dataset))) {
    const place = loopPlace(key);
    if (place?.step !== "version") continue;
    const step = decodeLoopStep("version", await store.get(key), key);
    named.set(step.number, `generation ${place.generation} of the loop`);
  }
  for (const { tag, number } of await readTags(store, dataset)) if (number !== null) named.set(number, `tag ${tag}`);
  return named;
}

async function numbersOf(store: Store, dataset: string, id: string): Promise<number[]> {
  const found: number[] = [];
  for (const number of await versionNumbers(store, dataset))
    if ((await findManifest(store, dataset, number))?.id === id) found.push(number);
  return found;
}
