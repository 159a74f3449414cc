// `node kafka-score.js '{"settings": …, "teacher": …}'`: a scorer as `sluice run score` runs it, until its standard input ends.
// `teacher`: a path, or a name for the made-up teacher, whose decoder and engine do nothing. Says what it does (../kafka/say.ts).
import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../connectors/engine/engine.js";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import type { Decoder } from "../../connectors/decoder/decoder.js";
import type { KafkaLog } from "../../connectors/log/kafka/kafka-log.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { runScore } from "../../pipelines/kafka/run-score.js";
import { openKafka } from "../../pipelines/open/open-kafka.js";
import { DecodePool } from "../../pipelines/flow/decode-pool.js";
import { openWorkspace } from "../../pipelines/open/workspace.js";
import { configSchema } from "../../schemas/config.js";
import { madeUpDecoder, madeUpEngine, madeUpTeacher } from "../../test/fixtures/made-up-teacher.js";
import { say, untilInputEnds } from "../kafka/say.js";
import { sayingWhatIsGiven } from "../kafka/watched-log.js";

interface Options {
  readonly settings: object;
  readonly teacher: { readonly path: string } | { readonly name: string };
  /** What an image costs the made-up engine. Default 0 */
  readonly engineMs?: number;
}

const { settings, teacher: of, engineMs = 0 } = JSON.parse(process.argv[2] ?? "") as Options;
const signal = untilInputEnds();
const config = configSchema.parse(settings);
const kafka = config.kafka!;
const teacher = "path" in of ? await loadTeacher(of.path) : madeUpTeacher(of.name);
const engine = "path" in of ? await openEngine(teacher, config.engine) : takingMs(madeUpEngine(teacher), engineMs);
const decoder = "path" in of ? openSharpDecoder() : madeUpDecoder;
const workspace = await openWorkspace(config, "bench");
const log: KafkaLog = await openKafka(kafka);
let begun = false;

/** One batch after the other, each image at a fixed cost, which is waited for, as for a device. */
function takingMs(engine: Engine, imageMs: number): Engine {
  if (imageMs === 0) return engine;
  let freeMs = 0;
  return {
    ...engine,
    score: async (batch) => {
      freeMs = Math.max(freeMs, performance.now()) + batch.count * imageMs;
      const logits = await engine.score(batch);
      const leftMs = freeMs - performance.now();
      if (leftMs >= 1) await sleep(leftMs);
      return logits;
    },
  };
}

/** Says when it sees its first image. */
const watched: Decoder = {
  name: decoder.name,
  header: (bytes) => {
    if (!begun) say("first");
    begun = true;
    return decoder.header(bytes);
  },
  decode: (bytes, header, plan, onlooker) => decoder.decode(bytes, header, plan, onlooker),
};
say("opened");
await runScore({
  workspace,
  log: sayingWhatIsGiven(log),
  kafka,
  scoring: {
    teacher,
    engine,
    decoder: watched,
    ...("path" in of
      ? { decoding: new DecodePool({ decoder: watched, card: teacher.card, config: config.decode }) }
      : {}),
    opener: openUri(),
  },
  onSegment: ({ header: { partition, end, counts } }) => {
    say("segment", { partition, end, images: counts.scored, others: counts.in - counts.scored });
  },
  onWarning: (message) => {
    say("warning", { message });
  },
  signal,
  nowMs: Date.now,
});
await engine.close();
await workspace.close();
await log.close();
say("ended");
// What is left of a group's member may go on trying for a while.
process.exit(0);
