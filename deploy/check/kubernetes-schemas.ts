import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { run } from "../local/command.js";
import { cachedFolder, type Report } from "../local/cache.js";
import { requirePrograms } from "../local/local-service.js";

export const KUBERNETES = { module: "k8s.io/kubernetes", version: "v1.34.2" };
const KEDA = { module: "github.com/kedacore/keda/v2", version: "v2.18.1" };
const OPERATOR = { module: "github.com/prometheus-operator/prometheus-operator", version: "v0.85.0" };
const CUSTOM = [
  { ...KEDA, file: "config/crd/bases/keda.sh_scaledobjects.yaml" },
  { ...OPERATOR, file: "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" },
  { ...OPERATOR, file: "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml" },
];

type Schema = Record<string, unknown>;

/**
 * A folder of JSON schemas for kubeconform, `<kind>-<group>-<version>.json`: Kubernetes' own objects of its OpenAPI text, KEDA's and the
 * Prometheus operator's of their resource definitions. A member that a schema does not name is refused. Throws E_SERVICE.
 */
export function kubernetesSchemas(report: Report): Promise<string> {
  return cachedFolder(
    `kubernetes-schemas-${KUBERNETES.version}-${KEDA.version}-${OPERATOR.version}-2`,
    async (folder) => {
      await requirePrograms("fetch Kubernetes' schemas", ["go"]);
      report(`fetching the schemas of Kubernetes ${KUBERNETES.version} and KEDA ${KEDA.version} (once; some 20 s)`);
      const text = await readFile(
        join(await moduleFolder(KUBERNETES, folder), "api/openapi-spec/swagger.json"),
        "utf8",
      );
      await writeKubernetes((JSON.parse(text) as { definitions: Record<string, Schema> }).definitions, folder);
      for (const custom of CUSTOM) {
        const definition = await readFile(join(await moduleFolder(custom, folder), custom.file), "utf8");
        await writeCustom(parse(definition) as CustomDefinition, folder);
      }
    },
    report,
  );
}

async function moduleFolder({ module, version }: { module: string; version: string }, folder: string): Promise<string> {
  const out = await run("go", ["mod", "download", "-json", `${module}@${version}`], {
    folder,
    environment: { GOFLAGS: "-mod=mod" },
    doing: `fetching ${module}`,
  });
  return (JSON.parse(out) as { Dir: string }).Dir;
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** kubeconform's name of a schema: `deployment-apps-v1`, `service-v1`, `networkpolicy-networking-v1` */
function schemaName({ group, version, kind }: GroupVersionKind): string {
  return [kind.toLowerCase(), group.split(".", 1)[0]!, version].filter((part) => part !== "").join("-");
}

async function writeKubernetes(definitions: Record<string, Schema>, folder: string): Promise<void> {
  const strict = Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, closed(schema, name)]));
  for (const [name, schema] of Object.entries(definitions)) {
    for (const kind of (schema["x-kubernetes-group-version-kind"] as GroupVersionKind[] | undefined) ?? []) {
      // Lists and options of requests are in no manifest.
      if (name.endsWith("List") || kind.kind === "DeleteOptions" || kind.kind === "WatchEvent") continue;
      const needed = reachable(name, strict);
      const whole = {
        $ref: `#/definitions/${name}`,
        definitions: Object.fromEntries(needed.map((n) => [n, strict[n]])),
      };
      await writeFile(join(folder, `${schemaName(kind)}.json`), JSON.stringify(whole));
    }
  }
}

/** Names of the definitions that one leads to, itself included. */
function reachable(name: string, definitions: Record<string, unknown>): string[] {
  const found = new Set([name]);
  for (const each of found) {
    for (const reference of JSON.stringify(definitions[each]).matchAll(/"#\/definitions\/([^"]+)"/g))
      found.add(reference[1]!);
  }
  return [...found];
}

/** Objects take the named members alone; texts that are numbers as well (quantities, ports) take both. */
function closed(schema: Schema, name: string): Schema {
  if (/\.IntOrString$|\.Quantity$/.test(name)) return { type: ["string", "number"] };
  return schema["properties"] === undefined ? schema : { ...schema, additionalProperties: false };
}

interface CustomDefinition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

async function writeCustom({ spec }: CustomDefinition, folder: string): Promise<void> {
  for (const { name, schema } of spec.versions) {
    const file = schemaName({ group: spec.group, version: name, kind: spec.names.kind });
    await writeFile(join(folder, `${file}.json`), JSON.stringify(closedThroughout(schema.openAPIV3Schema, true)));
  }
}

/** Resource definitions hold their parts in place, not by reference. Metadata is Kubernetes' own and stays open. */
function closedThroughout(schema: unknown, atTop: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((each) => closedThroughout(each, false));
  if (typeof schema !== "object" || schema === null) return schema;
  const members = schema as Schema;
  if (members["x-kubernetes-int-or-string"] === true) return { type: ["string", "integer"] };
  const inner = Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      name,
      atTop && name === "properties"
        ? Object.fromEntries(
            Object.entries(value as Schema).map(([property, each]) => [
              property,
              property === "metadata" ? each : closedThroughout(each, false),
            ]),
          )
        : closedThroughout(value, false),
    ]),
  );
  const isOpen =
    members["x-kubernetes-preserve-unknown-fields"] === true || members["additionalProperties"] !== undefined;
  return members["type"] === "object" && members["properties"] !== undefined && !isOpen
    ? { ...inner, additionalProperties: false }
    : inner;
}
