import type { DeployedCall } from "./deployed-call.js";

/** The call of sluice that a systemd unit makes. */
export function unitCall(text: string, file: string): DeployedCall {
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1] ?? "";
  const environment = Object.fromEntries(
    value("Environment")
      .split(" ")
      .filter((assignment) => assignment.includes("="))
      .map((assignment): [string, string] => {
        const equals = assignment.indexOf("=");
        return [assignment.slice(0, equals), assignment.slice(equals + 1)];
      }),
  );
  return {
    place: file,
    args: value("ExecStart").split(" ").slice(2),
    environment,
    ports: {},
    paths: [],
  };
}
