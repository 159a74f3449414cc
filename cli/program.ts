import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { CODE_VERSION } from "../schemas/code-version.js";
import { EXIT, SluiceError } from "../schemas/errors.js";
import { LOG_LEVELS } from "../schemas/log-level.js";
import { exampleText, type DeclareCommand } from "./command.js";
import { EXIT_TEXT, failureForm, reportFailure } from "./failure.js";
import { Invocation, type GlobalOptions } from "./invocation.js";
import type { Terminal } from "./terminal.js";

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ declare: DeclareCommand }>;
}

/** In the order in which one meets them. Each loads only when it is asked for. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "init",
    summary: "write a commented sluice.yaml",
    load: () => import("./commands/init.js"),
  },
  {
    name: "check",
    summary: "what this machine has, and what is wrong in sluice.yaml",
    load: () => import("./commands/check.js"),
  },
  {
    name: "teacher",
    summary: "take up a model as teacher, compare and promote",
    load: () => import("./commands/teacher.js"),
  },
  {
    name: "ingest",
    summary: "score images and publish a training set",
    load: () => import("./commands/ingest.js"),
  },
  {
    name: "datasets",
    summary: "what is declared: list, show, set, apply, drop",
    load: () => import("./commands/datasets.js"),
  },
  {
    name: "replay",
    summary: "score what the log has once more, through another teacher",
    load: () => import("./commands/replay.js"),
  },
  {
    name: "rebuild",
    summary: "make a version from the archived scores alone",
    load: () => import("./commands/rebuild.js"),
  },
  {
    name: "reproduce",
    summary: "make a version again from the archive and compare the ids",
    load: () => import("./commands/reproduce.js"),
  },
  {
    name: "whatif",
    summary: "what versions would be under other parameters",
    load: () => import("./commands/whatif.js"),
  },
  {
    name: "compact",
    summary: "write archived scores into larger Parquet files",
    load: () => import("./commands/compact.js"),
  },
  {
    name: "gc",
    summary: "free what no dataset, version or label needs",
    load: () => import("./commands/gc.js"),
  },
  {
    name: "erase",
    summary: "erase images for ever, from all that is kept",
    load: () => import("./commands/erase.js"),
  },
  {
    name: "schedules",
    summary: "commands that run at their times: list, run",
    load: () => import("./commands/schedules.js"),
  },
  {
    name: "archive",
    summary: "whether all that is archived is as it was written",
    load: () => import("./commands/archive.js"),
  },
  {
    name: "migrate",
    summary: "bring a store to the format of this release",
    load: () => import("./commands/migrate.js"),
  },
  {
    name: "log",
    summary: "begin a new log in the place of a damaged one",
    load: () => import("./commands/log.js"),
  },
  {
    name: "train",
    summary: "train a teacher, or a student on a version",
    load: () => import("./commands/train.js"),
  },
  {
    name: "study",
    summary: "the method's studies on pictures of your own",
    load: () => import("./commands/study.js"),
  },
  {
    name: "evaluate",
    summary: "how good a model is, and whether it beats its teacher",
    load: () => import("./commands/evaluate.js"),
  },
  {
    name: "loop",
    summary: "train students, and let those that are better take over",
    load: () => import("./commands/loop.js"),
  },
  {
    name: "versions",
    summary: "list, show, compare, explain and verify versions",
    load: () => import("./commands/versions.js"),
  },
  {
    name: "label",
    summary: "say what images are, and what they are not",
    load: () => import("./commands/label.js"),
  },
  {
    name: "audit",
    summary: "how right a version is, by a sample that people judge",
    load: () => import("./commands/audit.js"),
  },
  {
    name: "guard",
    summary: "keep evaluation sets out of every version",
    load: () => import("./commands/guard.js"),
  },
  {
    name: "quarantine",
    summary: "list what could not be used, and take it up again",
    load: () => import("./commands/quarantine.js"),
  },
  {
    name: "relocate",
    summary: "say that images lie elsewhere now",
    load: () => import("./commands/relocate.js"),
  },
  {
    name: "produce",
    summary: "put images into the images topic on Kafka",
    load: () => import("./commands/produce.js"),
  },
  {
    name: "gateway",
    summary: "take images by HTTP into the stream",
    load: () => import("./commands/gateway.js"),
  },
  {
    name: "topics",
    summary: "create and check the topics on Kafka",
    load: () => import("./commands/topics.js"),
  },
  {
    name: "run",
    summary: "score, publish and compact on Kafka, until stopped",
    load: () => import("./commands/run.js"),
  },
  {
    name: "pause",
    summary: "hold those who score, until resume",
    load: () => import("./commands/pause.js"),
  },
  {
    name: "resume",
    summary: "let those who were paused go on",
    load: () => import("./commands/resume.js"),
  },
  {
    name: "drain",
    summary: "let those who score finish what the log has, and end",
    load: () => import("./commands/drain.js"),
  },
  {
    name: "serve",
    summary: "a page to look at what is chosen, and an HTTP API",
    load: () => import("./commands/serve.js"),
  },
  {
    name: "mcp",
    summary: "answer agents over the Model Context Protocol",
    load: () => import("./commands/mcp.js"),
  },
  {
    name: "status",
    summary: "what is scored, what waits, how full the classes are",
    load: () => import("./commands/status.js"),
  },
  {
    name: "tap",
    summary: "records as they pass a stage; disturbs nobody",
    load: () => import("./commands/tap.js"),
  },
];

/** Runs one command line (without `node` and the script), and returns what the process exits with. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  const form = failureForm(args);
  let invocation: Invocation | null = null;
  let named: string | null = null;
  const report = (error: unknown): number => {
    const run = invocation;
    return reportFailure(error, terminal, form, run === null ? undefined : (message) => run.placed(message));
  };
  try {
    named = namedCommand(args);
    const program = await buildProgram(terminal, named, () => {
      invocation ??= new Invocation(terminal, program.opts<GlobalOptions>());
      return invocation;
    });
    await program.parseAsync(args, { from: "user" });
    return (invocation as Invocation | null)?.exitCode ?? EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      // The same code for help that was asked for, and for help printed for want of a command.
      if (error.code === "commander.help") return args.includes("help") ? EXIT.ok : EXIT.usage;
      if (error.exitCode === 0) return EXIT.ok;
      return report(usageError(error, named));
    }
    return report(error);
  }
}

/** `load`: the command whose options are declared in full, "all" for every one, null for none. */
export async function buildProgram(
  terminal: Terminal,
  load: string | null,
  invocation: () => Invocation,
): Promise<Command> {
  const program = globalOptions(new Command("sluice"))
    .description("Turns an endless stream of unlabelled images into versioned, class-balanced training sets.")
    .version(CODE_VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // Errors are thrown (exitOverride) and printed in one place, in one form.
      outputError: () => undefined,
    })
    .exitOverride()
    .hook("preAction", (_, command) => {
      invocation().action = { name: nameOf(command), flags: command.opts() };
    })
    .addHelpText("after", afterHelp());
  for (const entry of COMMANDS) {
    // `command` hands the settings above down to the new command.
    const command = program
      .command(entry.name)
      .summary(entry.summary)
      .description(`${sentence(entry.summary)}.`);
    if (load === entry.name || load === "all") (await entry.load()).declare(command, invocation);
  }
  return program;
}

/** Without the program's own: `train student` */
function nameOf(command: Command): string {
  const above = command.parent?.parent == null ? "" : `${nameOf(command.parent)} `;
  return `${above}${command.name()}`;
}

function globalOptions(program: Command): Command {
  return program
    .option("-c, --config <file>", "the configuration (default: sluice.yaml, where there is one)")
    .option("-d, --data <folder>", "the data folder, in place of the configuration's")
    .addOption(
      new Option("--set <path=value>", "any setting, such as engine.batch=32; repeatable")
        .argParser((value, before: string[]) => [...before, value])
        .default([], "none"),
    )
    .option(
      "--json",
      "the result as one JSON object on stdout; errors likewise; notes and warnings as objects on stderr",
    )
    .option("-q, --quiet", "results and errors only: no progress, notes or warnings")
    .addOption(
      new Option(
        "--progress <how>",
        "auto, lines, or json (one object a line, notes and warnings too); always on stderr",
      )
        .default("auto")
        .argParser(oneOf(["auto", "lines", "json"])),
    )
    .option("--no-progress", "no progress")
    .addOption(
      new Option("--log <form>", "text, or json: notes, warnings and what happens as one record a line, on stderr")
        .default("text")
        .argParser(oneOf(["text", "json"])),
    )
    .addOption(
      new Option("--log-level <level>", "debug, info, warn or error: what such a log leaves out is less than this")
        .default("info")
        .argParser(oneOf(LOG_LEVELS)),
    );
}

function oneOf(values: readonly string[]): (value: string) => string {
  return (value) => {
    if (values.includes(value)) return value;
    throw new InvalidArgumentError(`Expected ${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}.`);
  };
}

/** The command that a line names, so that only its file is loaded: the first word that belongs to no option. */
function namedCommand(args: readonly string[]): string | null {
  const scout = globalOptions(new Command())
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  const { operands } = scout.parseOptions([...args]);
  return (operands[0] === "help" ? operands[1] : operands[0]) ?? null;
}

/** `named`: the command that the line names, whose help says more. */
function usageError(error: CommanderError, named: string | null): SluiceError {
  const known = COMMANDS.find(({ name }) => name === named);
  const help = known === undefined ? "sluice --help" : `sluice ${known.name} --help`;
  const message = error.message.replace(/^error: /, "").replace(/\n\(/g, " (");
  return new SluiceError("E_USAGE", `${message}${/[.)?]$/.test(message) ? "" : "."} See \`${help}\`.`);
}

function afterHelp(): string {
  const codes = EXIT_TEXT.map(([code, meaning]) => `  ${String(code).padEnd(5)} ${meaning}`).join("\n");
  return [
    exampleText([
      ["sluice init", "writes sluice.yaml, with a comment on every setting"],
      ["sluice check", "says what this machine has, and what is wrong with the configuration"],
      ["sluice ingest photographs/ --teacher model.onnx", "scores a folder of pictures and publishes a training set"],
      ["sluice versions show latest", "what the newest training set holds"],
    ]),
    `\nExit codes:\n${codes}`,
    "\nSettings come from sluice.yaml, then SLUICE_… variables (SLUICE_ENGINE__BATCH=32), then flags; later ones win.",
  ].join("\n");
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
