// Checks files of `deploy/` with packages of npm, and prints what it finds as JSON. The packages are in `node_modules` beside this file:
// a link to those that `medhub-local fetch manifest-checker` has fetched.
//
//   node main.mjs documents FILE..   the YAML documents of all files
//   node main.mjs schemas FILE.. [-- FILE..]   for each group: problems of Kubernetes' manifests, and kinds without a schema
//   node main.mjs compose FILE       problems of a compose file
//   node main.mjs workflows FILE..   problems of workflows of GitHub

import { checkCompose } from './compose.mjs';
import { readDocuments } from './documents.mjs';
import { checkSchemas } from './schemas.mjs';
import { checkWorkflows } from './workflows.mjs';

const commands = { documents: readDocuments, schemas: checkSchemas, compose: checkCompose, workflows: checkWorkflows };

const [command, ...files] = process.argv.slice(2);
const result = await commands[command](files);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
