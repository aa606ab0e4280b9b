// GREEN-API's official client of JavaScript, unmodified, at a server of ours: what to call comes as JSON lines on standard
// input, as green_sdk.py takes them.
//
// Arguments: JSON object {"modules", "host", "instance", "token"}: the folder that holds node_modules, the server, the instance
// and its token.
// Prints {"methods": [...]} first. {"call", "with": [...]} is answered by {"code", "data"}; an argument {"form": {...}} becomes
// a form whose "file" is a file's path. What its loop hears is told by {"heard": callback, "body"}.
import {createReadStream} from 'node:fs';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

const options = JSON.parse(process.argv[2]);
const require = createRequire(`${options.modules}/package.json`);
const {restAPI} = require('@green-api/whatsapp-api-client');
const FormOfNode = require('form-data');

const {host, instance, token} = options;
const api = restAPI({idInstance: String(instance), apiTokenInstance: token, host, media: host});
const say = fields => process.stdout.write(`${JSON.stringify(fields)}\n`);

const isHelper = name => name === 'constructor' || name.startsWith('_') || /^add(ChadId|Phone|MessageId)Param$/.test(name);
const methods = [];
for (const noun of ['message', 'file', 'instance', 'settings', 'group', 'webhookService']) {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(api[noun]))) {
        if (name.startsWith('onReceiving')) {
            api[noun][name](body => say({heard: name, body}));
        } else if (!isHelper(name)) {
            methods.push(`${noun}.${name}`);
        }
    }
}
say({methods});

function argument(given) {
    if (given === null || typeof given !== 'object' || !given.form) {
        return given;
    }
    const form = new FormOfNode();
    for (const [key, value] of Object.entries(given.form)) {
        form.append(key, key === 'file' ? createReadStream(value) : value);
    }
    return form;
}

for await (const line of createInterface({input: process.stdin})) {
    const {call, with: given} = JSON.parse(line);
    const [noun, name] = call.split('.');
    try {
        const data = await api[noun][name](...given.map(argument));
        say({code: 200, data: data ?? null});
    } catch (error) {
        say({code: error.response?.status ?? null, data: error.response?.data ?? String(error)});
    }
}
process.exit(0);
