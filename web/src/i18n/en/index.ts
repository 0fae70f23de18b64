import body from './body.json'
import chart from './chart.json'
import clusters from './clusters.json'
import common from './common.json'
import errors from './errors.json'
import login from './login.json'
import nav from './nav.json'
import overview from './overview.json'
import roles from './roles.json'
import shell from './shell.json'
import topics from './topics.json'

export default { body, chart, clusters, common, errors, login, nav, overview, roles, shell, topics }
