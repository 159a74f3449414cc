import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { packageFile } from "../../cli/package-root.js";
import { EXIT, isSluiceError, messageOf } from "../../schemas/errors.js";
import { run } from "../local/command.js";
import { goProgram } from "../local/go-program.js";
import { chartCalls, renderedObjects, type Rendered } from "./chart-calls.js";
import { composeCalls } from "./compose-calls.js";
import { callFaults, configurationFaults, type DeployedCall } from "./deployed-call.js";
import { runImageSteps } from "./image-steps.js";
import { KUBERNETES, kubernetesSchemas } from "./kubernetes-schemas.js";
import { objectFaults } from "./object-faults.js";
import { SERVED, sluiceHelp } from "./served.js";
import { COMPOSE, HELM, KUBECONFORM } from "./tools.js";

const HELP = `Checks what is in deploy/, without a cluster and without a container engine.

  npm run deploy:check [-- --no-image]

The compose file is resolved; the chart is linted and rendered with each of its values files, and validated against the schemas of
Kubernetes, KEDA and the Prometheus operator; every command, flag, setting, port and path that is deployed is looked up in the code; the
steps of the image are run one by one in an empty folder. Needs go and, the first time, a network.

  --no-image  leave out the image's steps (npm ci twice, and the build)
`;

/** As many letters as helm takes */
const LONG_RELEASE = "a-release-with-as-long-a-name-as-helm-takes-of-53-one";

const report = (line: string): void => void process.stdout.write(`  ${line}\n`);
const deployed = (path: string): string => packageFile(join("deploy", path));

/** Runs one check and says its faults; true where there were none. */
async function check(name: string, faultsOf: () => Promise<readonly string[]>): Promise<boolean> {
  process.stdout.write(`${name}\n`);
  const faults = await faultsOf();
  for (const fault of faults) process.stdout.write(`  FAULT ${fault}\n`);
  process.stdout.write(faults.length === 0 ? "  ok\n" : "");
  return faults.length === 0;
}

async function faultsOfCalls(calls: readonly DeployedCall[]): Promise<string[]> {
  const faults = await Promise.all(calls.map((call) => callFaults(call, sluiceHelp, SERVED)));
  report(`${calls.length} calls of sluice`);
  return calls.length === 0 ? ["expected calls of sluice, found none"] : faults.flat();
}

async function composeFaults(): Promise<string[]> {
  const file = deployed("compose/compose.yaml");
  const compose = await goProgram(COMPOSE, report);
  await run(compose, [file], { folder: deployed("compose"), doing: "resolving compose.yaml" });
  const calls = composeCalls(await readFile(file, "utf8"), "compose.yaml");
  const configuration = await readFile(deployed("compose/sluice.yaml"), "utf8");
  return [...(await faultsOfCalls(calls)), ...configurationFaults("compose/sluice.yaml", configuration).faults];
}

async function chartFaults(folder: string): Promise<string[]> {
  const helm = await goProgram(HELM, report);
  const kubeconform = await goProgram(KUBECONFORM, report);
  const schemas = await kubernetesSchemas(report);
  const chart = deployed("helm/sluice");
  const examples = (await readdir(chart)).filter((file) => /^values-.*\.yaml$/.test(file)).sort();
  // Values that are hard on the chart, which nobody would take for an example.
  const hard = (await readdir(deployed("check/values"))).sort();
  const files = [
    ...examples.map((file) => ({ name: file, file: join(chart, file), release: "release" })),
    ...hard.map((file) => ({ name: `check/${file}`, file: deployed(`check/values/${file}`), release: LONG_RELEASE })),
  ];
  const alerts = parse(await readFile(deployed("prometheus/alerts.yaml"), "utf8")) as unknown;
  const validate = (manifest: string, name: string): Promise<string> =>
    run(
      kubeconform,
      // Strimzi's resource definitions are in no Go module.
      [
        ...["-strict", "-summary", "-skip", "KafkaUser"],
        ...["-schema-location", `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`, manifest],
      ],
      { folder, doing: `validating the chart with ${name}` },
    );
  const faults: string[] = [];
  for (const { name, file, release } of [{ name: "values.yaml", file: null, release: "sluice" }, ...files]) {
    // Built by hand, helm does not know for which Kubernetes.
    const values = ["--kube-version", KUBERNETES.version, ...(file === null ? [] : ["--values", file])];
    await run(helm, ["lint", "--strict", chart, ...values], { folder, doing: `linting the chart with ${name}` });
    const rendered = await run(helm, ["template", release, chart, "--namespace", "sluice", ...values], {
      folder,
      doing: `rendering the chart with ${name}`,
    });
    const manifest = join(folder, `${name.replace("/", "-")}.rendered.yaml`);
    await writeFile(manifest, rendered);
    const summary = await validate(manifest, name);
    report(`${name}: ${summary.trim()}`);
    const objects = renderedObjects(rendered);
    faults.push(
      ...(await faultsOfCalls(chartCalls(objects, name))),
      ...objects.flatMap((object) => configMapFaults(object, name)),
      ...objectFaults(objects, name, alerts),
    );
    // A validation that takes anything would pass, too.
    await writeFile(manifest, rendered.replace("maxUnavailable:", "maxUnavailables:"));
    const misspelt = await validate(manifest, name).then(
      () => true,
      () => false,
    );
    if (misspelt) faults.push(`${name}: a misspelt member (maxUnavailables) was found valid`);
  }
  return faults;
}

/** What kubeconform cannot know: the configuration in the ConfigMap. */
function configMapFaults(object: Rendered, place: string): string[] {
  if (object.kind !== "ConfigMap") return [];
  return configurationFaults(`${place} ConfigMap`, (object["data"] as Record<string, string>)["sluice.yaml"]!).faults;
}

async function imageFaults(folder: string): Promise<string[]> {
  const root = await runImageSteps(deployed("image/Dockerfile"), packageFile("."), folder, report);
  const environment = { HOME: join(folder, "home"), SLUICE_DATA: join(folder, "data") };
  const said = await run("node", [join(root, "app/dist/cli/main.js"), "check", "--json"], {
    folder,
    environment,
    doing: "sluice check in the image",
  });
  const { lines } = JSON.parse(said) as { lines: { subject: string; state: string; message: string }[] };
  report(`sluice check in the image: ${lines.length} lines`);
  return lines
    .filter(({ state }) => state === "fail")
    .map(({ subject, message }) => `sluice check in the image: ${subject}: ${message}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, "no-image": { type: "boolean" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const folder = await mkdtemp(join(tmpdir(), "sluice-deploy-"));
  try {
    const passed = [
      await check("compose", composeFaults),
      await check("chart", () => chartFaults(folder)),
      values["no-image"] === true || (await check("image", () => imageFaults(join(folder, "image")))),
    ];
    process.stdout.write(
      "Not tried: starting any of it. There is no container engine and no cluster here; see docs/operations.md.\n",
    );
    return passed.every(Boolean) ? EXIT.ok : EXIT.failed;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${isSluiceError(error) ? error.code : "Error"}: ${messageOf(error)}\n`);
    process.exit(isSluiceError(error) ? error.exitCode : EXIT.failed);
  },
);
