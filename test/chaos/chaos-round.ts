import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ChainRuns } from "../../operators/archive/chain-runs.js";
import { segmentPlace } from "../../schemas/keys.js";
import { againWhileAway } from "../fixtures/killed-processes.js";
import { below, oneOf } from "../fuzz/mutate.js";
import { uniform } from "../fixtures/seeded-weights.js";
import { ChaosSite, type ChaosOptions } from "./chaos-site.js";
import { drawFault } from "./faults.js";

/** One round's end, a line of the log */
export interface RoundOutcome {
  readonly seed: number;
  readonly kills: number;
  readonly images: number;
  readonly seconds: number;
  /** How often each befell it */
  readonly faults: Readonly<Record<string, number>>;
  /** The version's, and that of one machine */
  readonly id: string;
  /** Kinds of objects of which a bit was turned afterwards, and that were refused by name */
  readonly refused: readonly string[];
}

const WITHIN_MS = 300_000;

/** Of what a bit is turned once all is done: how they are called, and which command must name them. */
const DAMAGED: readonly { readonly kind: string; readonly prefix: RegExp; readonly command: readonly string[] }[] = [
  { kind: "segment", prefix: /^scores\/.*\.arrow$/, command: ["archive", "verify"] },
  { kind: "rows of a run", prefix: /^runs\/.*\.parquet$/, command: ["archive", "verify"] },
  { kind: "index of a run", prefix: /^runs\/.*\.jsonl$/, command: ["archive", "verify"] },
  { kind: "pack", prefix: /^packs\/.*\.pack$/, command: ["archive", "verify"] },
  { kind: "checkpoint", prefix: /^checkpoints\//, command: ["archive", "verify"] },
  { kind: "manifest", prefix: /^versions\/.*manifest\.json$/, command: ["archive", "verify"] },
  { kind: "index", prefix: /^versions\/.*index.*\.parquet$/, command: ["versions", "verify", "best/1", "--deep"] },
  { kind: "shard", prefix: /^versions\/.*\.tar$/, command: ["versions", "verify", "best/1", "--deep"] },
];

/** Images come while faults strike; then everything must be there once, with the id of one machine; then bits are turned, and must be noticed. */
export async function chaosRound(options: ChaosOptions & { readonly kills: number }): Promise<RoundOutcome> {
  const { seed, kills, images, say } = options;
  const next = uniform(seed);
  const startedMs = Date.now();
  const site = await ChaosSite.open(options);
  try {
    const rate = String(Math.max(10, Math.ceil(images / (5 + kills * 2))));
    let isProduced = false;
    const producing = againWhileAway(() => site.sluice("produce", "pictures", "--rate", rate)).then(() => {
      isProduced = true;
    });
    producing.catch(() => undefined);
    const faults: Record<string, number> = {};
    for (let kill = 0; kill < kills; kill++) {
      await sleep(300 + next() * 2000);
      const fault = drawFault(next);
      const where = await fault.strike(site, next);
      faults[fault.name] = (faults[fault.name] ?? 0) + 1;
      say(`  ${kill + 1}/${kills} ${fault.name}: ${where}`);
      await site.tend();
    }
    await producing;
    assert.ok(isProduced);
    const id = await site.until("a version", WITHIN_MS, async () => {
      const { code, said } = await site.tried("versions", "show", "latest", "--json");
      return code === 0 ? (JSON.parse(said) as { id: string }).id : null;
    });
    assert.equal(id, await site.idOfOneMachine(), "the version of one machine");
    await site.until("every image in the archive once", WITHIN_MS, async () =>
      (await site.isArchivedOnce()) ? true : null,
    );
    // Nobody writes any more.
    for (const { process } of site.victims) await process.end("SIGINT");
    for (const command of [
      ["archive", "verify"],
      ["versions", "verify", "latest", "--deep"],
    ]) {
      const { code, said } = await site.tried(...command);
      // A checkpoint that was cut short is named, and its repair; it is a cache.
      if (code !== 0) assert.ok(faults["checkpoint cut short"] !== undefined && /checkpoint/i.test(said), said);
    }
    const refused = await turnBits(site, next, id);
    return { seed, kills, images, seconds: Math.round((Date.now() - startedMs) / 1000), faults, id, refused };
  } finally {
    await site.close();
  }
}

async function turnBits(site: ChaosSite, next: () => number, id: string): Promise<string[]> {
  const refused: string[] = [];
  const all = await site.keysBelow("");
  for (const { kind, prefix, command } of DAMAGED) {
    const keys = all.filter((key) => prefix.test(key));
    if (keys.length === 0) continue;
    const key = oneOf(next, keys);
    const whole = await site.store.get(key);
    if (whole.length === 0) continue;
    const bytes = Buffer.from(whole);
    bytes[below(next, bytes.length)]! ^= 1 << below(next, 8);
    await site.store.put(key, bytes);
    const { code, said } = await site.tried(...command);
    if (code !== 0)
      assert.ok(said.includes(key.split("/").at(-1)!), `${command.join(" ")} does not name ${key}: ${said}`);
    else await assertReplaced(site, key);
    const rebuilt = await site.tried("rebuild", "best", "--json");
    if (rebuilt.code === 0) assert.ok(rebuilt.said.includes(id), `${key}: another version was published`);
    await site.store.put(key, whole);
    refused.push(code === 0 ? `${kind} (replaced, of no use)` : kind);
  }
  return refused;
}

/** What a run or a later generation has replaced lies there until it is swept: nothing changes where it is gone. */
async function assertReplaced(site: ChaosSite, key: string): Promise<void> {
  assert.match(key, /^(scores|runs|packs)\//, `a bit of ${key} was turned, and nothing said so`);
  // Without its last segment a chain would be whole as well, but shorter.
  const segment = segmentPlace(key);
  if (segment !== null) {
    const runsEnd = await new ChainRuns(site.store, segment.chain).end();
    assert.ok(segment.start < runsEnd, `a bit of ${key} was turned, which no run has taken over, and nothing said so`);
  }
  await site.store.delete(key);
  const { code, said } = await site.tried("archive", "verify");
  assert.equal(code, 0, `a bit of ${key} was turned, and nothing said so; without it: ${said}`);
}
