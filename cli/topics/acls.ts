import { Option, type Command } from "commander";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { commandsOf, KAFKA_ROLES, rightsOf, type KafkaOperation, type KafkaRole } from "../../schemas/kafka-rights.js";
import { exampleText } from "../command.js";
import type { Invocation } from "../invocation.js";
import { kafkaOf } from "./kafka-of.js";

interface AclFlags {
  /** As its choices are */
  readonly role?: readonly KafkaRole[];
  readonly principal?: string;
}

/** What one role may do with one topic, or with groups. */
interface Allowed {
  readonly resource: "topic" | "group";
  readonly name: string;
  readonly pattern: "literal" | "prefixed";
  operations: readonly KafkaOperation[];
}

export function declareAcls(command: Command, invocation: () => Invocation): void {
  command
    .command("acls")
    .summary("what each role must be allowed on a cluster with access rules")
    .description(
      "Prints what the processes of each role must be allowed, and nothing that they do not need. With --principal as commands of Kafka's own tool. Asks no broker.",
    )
    .addOption(new Option("--role <roles...>", "of these alone").choices([...KAFKA_ROLES]))
    .option("--principal <principal>", "print `kafka-acls` commands that allow it to this one, such as User:scorer")
    .addHelpText(
      "after",
      exampleText([
        ["sluice topics acls", "of every role: which operations on which topics and groups"],
        ["sluice topics acls --role scorer --principal User:scorer", "commands that allow a scorer what it needs"],
      ]),
    )
    .action(async ({ role, principal }: AclFlags) => {
      const run = invocation();
      const { config } = await run.loadConfig();
      const kafka = kafkaOf(config);
      const roles = (role ?? KAFKA_ROLES).map((name) => {
        const allowed = byResource(name, { stream: config.stream, kafka });
        return { role: name, runs: commandsOf(name), allowed };
      });
      const lines = roles.flatMap(({ role: name, runs, allowed }) => [
        `# ${name}: ${runs}`,
        ...allowed.map((one) => (principal === undefined ? plainText(one) : commandText(one, principal, kafka))),
        "",
      ]);
      run.result(lines.join("\n").trimEnd(), { principal: principal ?? null, roles });
    });
}

function byResource(role: KafkaRole, place: { readonly stream: string; readonly kafka: KafkaConfig }): Allowed[] {
  const allowed = new Map<string, Allowed>();
  for (const { operation, resource, name, pattern } of rightsOf(role, place)) {
    const key = `${resource} ${name}`;
    const known = allowed.get(key) ?? { resource, name, pattern, operations: [] };
    known.operations = [...known.operations, operation];
    allowed.set(key, known);
  }
  return [...allowed.values()];
}

function plainText({ resource, name, pattern, operations }: Allowed): string {
  const named = pattern === "prefixed" ? `${name}* (names that begin so)` : name;
  return `${resource}  ${named}: ${operations.join(", ")}`;
}

function commandText(
  { resource, name, pattern, operations }: Allowed,
  principal: string,
  { brokers }: KafkaConfig,
): string {
  const all = operations.map((operation) => `--operation ${operation}`).join(" ");
  const how = pattern === "prefixed" ? " --resource-pattern-type prefixed" : "";
  return `kafka-acls --bootstrap-server ${brokers} --add --allow-principal ${principal} ${all} --${resource} ${name}${how}`;
}
