import { openMinioStore } from "../../../../connectors/store/s3/minio-store.js";
import { raceForKeys } from "../../../conformance/store-race.js";

/** A writer of a race: `node minio-store-race-program.js <port> <bucket> <access key> <secret key>` */
const [port = "", bucket = "", accessKey = "", secretKey = ""] = process.argv.slice(2);
await raceForKeys(
  await openMinioStore({
    endPoint: "127.0.0.1",
    port: Number(port),
    useSSL: false,
    bucket,
    accessKey,
    secretKey,
    conditionalWrites: "trusted",
  }),
);
