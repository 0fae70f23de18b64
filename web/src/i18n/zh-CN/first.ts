import chart from './chart.json'
import common from './common.json'
import errors from './errors.json'
import login from './login.json'
import nav from './nav.json'
import plan from './plan.json'
import roles from './roles.json'
import shell from './shell.json'

export default { chart, common, errors, login, nav, plan, roles, shell }
