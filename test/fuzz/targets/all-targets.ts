import type { FuzzTarget } from "../fuzz-target.js";
import { API } from "./api.js";
import { ARROW } from "./arrow.js";
import { CONFIGURATION } from "./configuration.js";
import { FOLDERS } from "./folders.js";
import { IMAGE_HEADERS, IMAGES } from "./images.js";
import { MODELS } from "./models.js";
import { PARQUET } from "./parquet.js";
import { PIPELINE } from "./pipeline.js";
import { KAFKA_BATCHES, KAFKA_RECORDS } from "./records.js";
import { SCHEMAS } from "./schemas.js";
import { STORES } from "./stores.js";
import { TARS } from "./tars.js";

/** Everything that comes from outside and is read */
export const TARGETS: readonly FuzzTarget[] = [
  IMAGE_HEADERS,
  IMAGES,
  TARS,
  FOLDERS,
  PARQUET,
  ARROW,
  KAFKA_RECORDS,
  KAFKA_BATCHES,
  SCHEMAS,
  STORES,
  CONFIGURATION,
  API,
  MODELS,
  PIPELINE,
];
