import { Argument } from "commander";
import { TAP_STAGES, type Tapped, type TapStage } from "../../pipelines/tap.js";
import { counted } from "../../schemas/counted.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";
import { positiveNumber } from "../number-argument.js";
import { bytesText } from "../wording.js";
import { declareMetricsFlags, longWork } from "../metrics-flags.js";

interface Flags {
  readonly fromStart?: true;
  readonly limit?: number;
  readonly class?: string;
}

export const declare: DeclareCommand = (command, invocation) => {
  declareMetricsFlags(command)
    .description(
      "Shows records as they pass a stage, until Ctrl-C: images as they come into the log, scores and quarantined records as they are archived, candidates " +
        "of the datasets, what people say of images, the thresholds below which classes take nothing more, versions as they are published. It only reads: no consumer is moved, and nothing is committed.",
    )
    .addArgument(new Argument("<stage>", "what passes there").choices(TAP_STAGES))
    .option("--from-start", "from the first record that is still there; without it, what comes from now on")
    .option("--limit <n>", "end after so many", positiveNumber)
    .option(
      "--class <name>",
      "of scores: images whose best classes have it; of candidates, labels and thresholds: those of the class",
    )
    .addHelpText(
      "after",
      exampleText([
        ["sluice tap images", "what comes into the log"],
        [
          "sluice tap scores --from-start --limit 20",
          "the first twenty images that were scored, with their best classes",
        ],
        ["sluice tap candidates --class rose", "what one class is offered"],
        ["sluice tap quarantine --json", "what cannot be used, one object a line"],
        ["sluice tap labels", "what people say of images, as versions come to heed it"],
        ["sluice tap thresholds --class rose", "below which score a class takes nothing any more"],
      ]),
    )
    .action(async (stage: TapStage, flags: Flags) => {
      const run = invocation();
      const { assertClass, tap } = await import("../../pipelines/tap.js");
      const { config, store } = await openDeclared(run);
      try {
        if (flags.class !== undefined) await assertClass(store, flags.class);
        await longWork(run, async ({ stop }) => {
          const opened = await openLook(config);
          const ended = new AbortController();
          const signal = AbortSignal.any([stop, ended.signal]);
          let shown = 0;
          try {
            const { look } = opened;
            for await (const one of tap({ stage, config, store, look, fromStart: flags.fromStart === true, signal })) {
              const kept = flags.class === undefined ? one : ofClass(one, flags.class);
              if (kept === null) continue;
              run.terminal.stdout.write(`${run.json ? JSON.stringify(kept) : lineOf(kept)}\n`);
              shown++;
              if (shown === flags.limit || stop.aborted) break;
            }
          } finally {
            ended.abort();
            await opened.close();
          }
        });
      } finally {
        await store.close();
      }
    });
};

type Look = Parameters<typeof import("../../pipelines/tap.js").tap>[0]["look"];
type Config = Parameters<typeof import("../../pipelines/tap.js").tap>[0]["config"];

/** Kafka is connected to once; the log in the data folder is opened at each look, since its writer may begin a new one. */
async function openLook(config: Config): Promise<{ readonly look: Look; close(): Promise<void> }> {
  if (config.kafka === undefined) {
    const { withLog } = await import("../../pipelines/open/folder-holder.js");
    return { look: (work) => withLog(config, work), close: () => Promise.resolve() };
  }
  const { openKafka } = await import("../../pipelines/open/open-kafka.js");
  const log = await openKafka(config.kafka);
  return { look: (work) => work(log), close: () => log.close() };
}

/** What of a record is of a class; null: nothing */
function ofClass(one: Tapped, name: string): Tapped | null {
  switch (one.stage) {
    case "candidates":
    case "labels":
      return one.class === name ? one : null;
    case "scores":
      return one.classes.some((ranked) => ranked.class === name) ? one : null;
    case "thresholds": {
      const classes = one.classes.filter((known) => known.class === name);
      return classes.length === 0 ? null : { ...one, classes };
    }
    default:
      return null;
  }
}

function lineOf(one: Tapped): string {
  switch (one.stage) {
    case "images": {
      const how = one.fault ?? (one.inlineBytes === null ? "by reference" : `${bytesText(one.inlineBytes)} inline`);
      return `${one.partition}/${one.offset}  ${new Date(one.eventTimeMs).toISOString()}  ${how}  ${one.uri}`;
    }
    case "scores": {
      const best = one.classes.map(({ class: name, probability }) => `${name} ${probability.toFixed(3)}`).join(", ");
      return `${one.partition}/${one.offset}  ${best}${one.copied ? "  copied" : ""}  ${one.uri ?? one.sha256}`;
    }
    case "candidates":
      return `${one.partition}/${one.offset}  ${one.dataset}  ${one.class} ${one.probability.toFixed(3)}  ${one.digest}`;
    case "quarantine":
      return `${one.partition}/${one.offset}  ${one.code}  ${one.uri}  ${one.reason}`;
    case "labels": {
      const said = one.class === null ? one.verdict : `${one.verdict} ${one.class}`;
      return `${new Date(one.timeMs).toISOString()}  ${one.by ?? "somebody"}: ${said}  ${one.sha256}`;
    }
    case "thresholds":
      return `${one.dataset}  shard ${one.shard} of ${one.shards}  after ${counted(one.records, "record")}  ${thresholdsText(one.classes)}`;
    case "versions":
      return `${one.dataset}/${one.number}  ${counted(one.rows, "row")}  ${one.createdAt}  ${one.id}`;
  }
}

/** Least scores of one class, or of several from the lowest to the highest */
function thresholdsText(classes: Extract<Tapped, { stage: "thresholds" }>["classes"]): string {
  const bounds = classes.flatMap(({ least }) => least ?? []).sort((a, b) => a - b);
  const open = classes.length - bounds.length;
  const bounded =
    bounds.length === 0
      ? []
      : [
          classes.length === 1
            ? `${classes[0]!.class} from ${bounds[0]!.toFixed(3)}`
            : `${counted(bounds.length, "class", "classes")} from ${bounds[0]!.toFixed(3)} to ${bounds.at(-1)!.toFixed(3)}, median ${bounds[bounds.length >> 1]!.toFixed(3)}`,
        ];
  const all =
    open === 0
      ? []
      : [
          `${classes.length === 1 ? classes[0]!.class : counted(open, "class", "classes")} ${open === 1 ? "takes" : "take"} all`,
        ];
  return [...bounded, ...all].join("; ");
}
