import { CODE_VERSION } from "../../schemas/code-version.js";
import { exampleText, type DeclareCommand } from "../command.js";
import { openDeclared } from "../declared-config.js";

export const declare: DeclareCommand = (command, invocation) => {
  command
    .description(
      "Brings a store of an older release to the format that this release writes. Formats are counted; what has the newest one is left as it is. A store of a newer release is refused (E_STORE_NEWER) by " +
        "every command, this one as well.",
    )
    .addHelpText(
      "after",
      exampleText([["sluice migrate", "after an upgrade, once no process of the older release runs any more"]]),
    )
    .action(async () => {
      const run = invocation();
      // Opening refuses what is newer.
      const { store } = await openDeclared(run);
      try {
        const { migrate } = await import("../../pipelines/migrate.js");
        const migrated = await migrate(store);
        run.result(
          `The store in ${store.place} has format ${migrated.format}, the newest that Sluice ${CODE_VERSION} knows. There is nothing to migrate.`,
          { place: store.place, codeVersion: CODE_VERSION, ...migrated },
        );
      } finally {
        await store.close();
      }
    });
};
