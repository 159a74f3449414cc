import { openFilesystemStore } from "../../../../connectors/store/filesystem/filesystem-store.js";
import { raceForKeys } from "../../../conformance/store-race.js";

/** `race-program FOLDER`: one writer of a race for keys. */
await raceForKeys(await openFilesystemStore(process.argv[2]!));
